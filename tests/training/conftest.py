"""Training is the torch engine's: on the other one there is nothing to test but the refusal, in test_platform.py."""

import mcore

collect_ignore_glob = [] if mcore.backend() == "torch" else ["*"]
