"""Semantic labels of generated homes. 0 means nothing."""

LABELS: tuple[str, ...] = (
    "nothing",
    "floor",
    "ceiling",
    "wall",
    "door",
    "window",
    "stairs",
    "table",
    "chair",
    "sofa",
    "bed",
    "shelf",
    "book",
    "wardrobe",
    "cabinet",
    "counter",
    "stove",
    "fridge",
    "sink",
    "toilet",
    "bathtub",
    "lamp",
    "plant",
    "rug",
    "picture",
    "screen",
    "nightstand",
    "decoration",
)

LABEL_ID: dict[str, int] = {name: index for index, name in enumerate(LABELS)}
