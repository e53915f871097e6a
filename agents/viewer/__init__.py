"""The viewer: a local web page on which a person walks through scenes and watches policies."""
