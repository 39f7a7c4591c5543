"""The placeholder image of an item without a picture: a small pattern, always the same for the same item.

So an item is recognised at a glance in a customer's history, among the recommendations and on its own page. The shapes
are symbols in `_parts.html`, coloured by the stylesheet for light and dark.
"""

from hashlib import blake2b

from markupsafe import Markup

COLUMNS, ROWS, SIZE = 6, 3, 20
SHAPES = ("quarter", "quarter", "quarter", "leaf", "leaf", "dot", "half", "square")
N_TONES = 4


def placeholder_image(item_id: str) -> Markup:
    """SVG elements for `<svg viewBox="0 0 120 60">`."""
    digest = blake2b(item_id.encode(), digest_size=2 * COLUMNS * ROWS).digest()
    shapes = []
    for cell in range(COLUMNS * ROWS):
        choice, look = digest[2 * cell], digest[2 * cell + 1]
        if choice % 5 == 0:
            continue
        x, y = cell % COLUMNS * SIZE, cell // COLUMNS * SIZE
        turn = f' transform="rotate({look % 4 * 90} {x + SIZE // 2} {y + SIZE // 2})"' if look % 4 else ""
        shape = SHAPES[choice // 5 % len(SHAPES)]
        shapes.append(f'<use href="#{shape}" x="{x}" y="{y}" class="tone-{look // 4 % N_TONES}"{turn}/>')
    return Markup("".join(shapes))  # noqa: S704 - numbers and names of ours
