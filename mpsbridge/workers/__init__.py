"""Where the jobs of a fleet are done: on threads of this process, or through any executor."""
