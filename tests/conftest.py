"""Settings of every Python suite: how hypothesis searches."""

import signal

from hypothesis import settings

# A shared machine pauses tests at will, so no example has a deadline; a failure prints what replays it.
settings.register_profile("sequencer", deadline=None, max_examples=200, print_blob=True)
settings.load_profile("sequencer")

# A shell that starts a command in the background makes it ignore Ctrl-C, and all that it starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
