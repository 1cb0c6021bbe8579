package swarm

import (
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// macOf is the Ethernet address of a host.
func macOf(host int) wire.MAC { return wire.MAC{0x02, 'd', 'l', 0, 0, byte(host)} }

// hostOf is the host that a frame is for, -1 if there is none.
func hostOf(frame []byte) int {
	if len(frame) < wire.EthernetBytes {
		return -1
	}
	to := wire.Ethernet(frame).Dst()
	if to != macOf(int(to[5])) {
		return -1
	}
	return int(to[5])
}

// ours reports whether a host's interface takes a frame: its address may have been damaged.
func (h *host) ours(frame []byte) bool { return hostOf(frame) == h.index }

// port is the UDP port of every runtime.
const port = 7171

// path is the way from one host to another.
func (h *host) path(peer int) transport.Path {
	flow := wire.UDPFlow{SrcMAC: macOf(h.index), DstMAC: macOf(peer)}
	switch h.plan.UDP {
	case 4:
		flow.Src, flow.Dst = address4(h.index), address4(peer)
	case 6:
		flow.Src, flow.Dst = address6(h.index), address6(peer)
	default:
		return transport.RawPath(flow.SrcMAC, flow.DstMAC)
	}
	return transport.UDPPath(flow)
}

func address4(host int) wire.UDPAddr {
	return wire.UDPAddr4([4]byte{10, 0, 0, byte(host + 1)}, port)
}

func address6(host int) wire.UDPAddr {
	return wire.UDPAddr6([16]byte{0: 0xfd, 15: byte(host + 1)}, port)
}
