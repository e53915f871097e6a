"""What a package needs before its slow imports: names that are loaded when used, and the number of cores."""
