"""Prints the name of the OpenGL renderer; exits with code 2 and one line on stderr if there is none."""

import sys

from batchsim import RenderError
from batchsim.render.opengl.context import create_context, renderer_name

try:
    context = create_context()
except RenderError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
print(renderer_name(context))
