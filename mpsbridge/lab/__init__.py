"""Make-believe hosts behind a real WSMan and PSRP server on the loopback. Imports only errors, clock and psrp_pipes.

from mpsbridge.lab import Lab, load_world

with Lab(load_world("small")) as lab:
    ...
"""

from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.sessions import LabSession
from mpsbridge.lab.windows.world import Change, World
from mpsbridge.lab.wire.addresses import LabAddress
from mpsbridge.lab.worldfile import build_world, demo_world, load_world

__all__ = ["Change", "Lab", "LabAddress", "LabHost", "LabSession", "World", "build_world", "demo_world", "load_world"]
