"""Say what draws, or why nothing can: exit code 0 and the renderer's name, or 2 and one line on stderr."""

import sys

from batchsim import RenderError
from batchsim.render.opengl.context import create_context, renderer_name

try:
    context = create_context()
except RenderError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
print(renderer_name(context))
