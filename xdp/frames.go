package xdp

import "fmt"

const (
	// MinChunkBytes and MaxChunkBytes are the chunk sizes that AF_XDP takes in aligned mode: powers
	// of two from 2,048 to a page.
	MinChunkBytes = 2048
	MaxChunkBytes = 4096

	// kernelHeadroom is what the kernel keeps free before a received frame, in bytes, on top of
	// what the socket asks for: XDP_PACKET_HEADROOM.
	kernelHeadroom = 256

	// kernelRoom is the least that the headrooms must leave of a chunk, in bytes: a small frame,
	// and what the kernel adds when it makes a packet of the chunk. (found by trying, Linux 6.18;
	// earlier kernels accept less)
	kernelRoom = 448

	// linkHeader is the most bytes that a frame has on top of the MTU: Ethernet and one VLAN tag.
	linkHeader = 14 + 4
)

// checkFrames checks that frames of an interface fit into chunks, or may take several: what does
// not fit is dropped by the kernel without a word to anybody but a counter.
func checkFrames(mtu, chunk, headroom int, frags bool) error {
	if chunk != MinChunkBytes && chunk != MaxChunkBytes {
		return fmt.Errorf("chunks of %d bytes: want %d or %d", chunk, MinChunkBytes, MaxChunkBytes)
	}
	room := chunk - kernelHeadroom - headroom
	if headroom < 0 || room < kernelRoom {
		return fmt.Errorf("headroom of %d bytes in chunks of %d: want 0 to %d", headroom, chunk,
			chunk-kernelHeadroom-kernelRoom)
	}
	if mtu+linkHeader > room && !frags {
		return fmt.Errorf("MTU %d: frames of up to %d bytes do not fit into the %d that "+
			"a chunk of %d holds; they take several, for which the program must be loaded with "+
			"frags and Options.Frags be set, or set the MTU to %d or less",
			mtu, mtu+linkHeader, room, chunk, room-linkHeader)
	}
	return nil
}
