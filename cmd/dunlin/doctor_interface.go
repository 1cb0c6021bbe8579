package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/xdp"
)

// steerName is what the iokernel's XDP program is called.
const steerName = "steer"

// singleFrameMTU is the largest MTU whose frames lie in one chunk of 4,096 bytes, in bytes: less
// 256 that the kernel keeps free, an Ethernet header and a VLAN tag.
const singleFrameMTU = 4096 - 256 - 14 - 4

// examineInterface looks at one network interface.
func examineInterface(name string) []finding {
	f, err := xdp.Probe(name)
	switch {
	case errors.Is(err, unix.ENODEV):
		return []finding{fail("interface", name+" is not there, in this network namespace",
			"see which are: ls /sys/class/net")}
	case err != nil:
		return []finding{unknown("interface", err)}
	}
	return []finding{
		judgeLink(f), judgeRoute(f), judgeProgram(f), judgeNative(f), judgeZeroCopy(f), judgeMTU(f),
		judgeQueues(f),
		note("kernel traffic", "what the kernel itself sends and receives on %s pays for an XDP "+
			"program beside it, on veth most of all TCP; dunlin bench latency says how much (rows "+
			"kernel/udp-spin-with-xdp, kernel/tcp-beside)", name),
	}
}

func judgeLink(f xdp.Features) finding {
	driver := f.Driver
	if driver == "" {
		driver = "unknown driver"
	}
	if !f.Up {
		return warn("interface", fmt.Sprintf("%s (%s) is down", f.Interface, driver),
			"ip link set dev "+f.Interface+" up")
	}
	return ok("interface", "%s (%s) is up", f.Interface, driver)
}

func judgeRoute(f xdp.Features) finding {
	if f.DefaultRoute {
		return warn("default route",
			"leads through "+f.Interface+", so an iokernel refuses to take it",
			"choose another interface, or set allow_default_route if this machine can be reached "+
				"otherwise")
	}
	return ok("default route", "does not lead through %s", f.Interface)
}

func judgeProgram(f xdp.Features) finding {
	switch {
	case f.Attached == nil:
		return ok("XDP program", "none is attached")
	case f.Attached.Name == steerName:
		return note("XDP program", "%v: an iokernel runs here", f.Attached)
	}
	return fail("XDP program", fmt.Sprintf("%v is attached, and is not replaced", f.Attached),
		"stop whoever attached it, or: ip link set dev "+f.Interface+" xdp off")
}

func judgeNative(f xdp.Features) finding {
	if !f.Native.OK {
		return warn("XDP mode",
			"generic, which costs a socket buffer for each frame: "+f.Native.Why,
			"a driver with native XDP")
	}
	return ok("XDP mode", "native: %s", f.Native.Why)
}

func judgeZeroCopy(f xdp.Features) finding {
	if !f.ZeroCopy.OK {
		return note("frames", "the kernel copies each between its buffers and frame memory: %s",
			f.ZeroCopy.Why)
	}
	return ok("frames", "zero-copy: %s", f.ZeroCopy.Why)
}

func judgeMTU(f xdp.Features) finding {
	switch {
	case f.MTU <= singleFrameMTU:
		return ok("MTU", "%d: a packet lies in one frame", f.MTU)
	case f.MultiBuffer.OK:
		return ok("MTU", "%d: packets of several frames: %s", f.MTU, f.MultiBuffer.Why)
	}
	return fail("MTU",
		fmt.Sprintf("%d needs packets of several frames: %s", f.MTU, f.MultiBuffer.Why),
		fmt.Sprintf("ip link set dev %s mtu %d", f.Interface, singleFrameMTU))
}

func judgeQueues(f xdp.Features) finding {
	if f.Queues == 1 {
		return note("queues", "1: for mediated runtimes, or for a single direct one")
	}
	return ok("queues", "%d: one for each worker of a direct runtime, the others for mediated ones",
		f.Queues)
}
