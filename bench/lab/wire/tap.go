package wire

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Tap is a packet socket on one interface: it takes whatever arrives there and sends whatever it is
// told, past the stack and its queueing discipline.
type Tap struct {
	fd     int
	name   string
	missed uint64 // frames that found the socket's buffer full, as far as the kernel was asked
}

// bufferBytes is the socket's receive buffer: 10 ms of 64 B frames at a million a second, at the
// kernel's 768 B for each. (guess)
const bufferBytes = 8 << 20

// Open taps an interface of the calling thread's network namespace, to which the Tap stays bound.
func Open(name string) (*Tap, error) {
	i, err := net.InterfaceByName(name)
	if err != nil { // package net has no error to compare it with
		return nil, fmt.Errorf("wire: interface %s: %w (%v)", name, unix.ENODEV, err)
	}
	// Protocol 0 takes nothing until the socket is bound to its interface.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("wire: packet socket for %s: %w", name, err)
	}
	t := &Tap{fd: fd, name: name}
	if err := t.bind(i.Index); err != nil {
		t.Close()
		return nil, fmt.Errorf("wire: tap %s: %w", name, err)
	}
	return t, nil
}

func (t *Tap) bind(index int) error {
	for _, option := range [...]struct {
		level, name, value int
		what               string
	}{
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferBytes, "receive buffer"},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1, "hear no own frames"},
		{unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1, "bypass the queueing discipline"},
	} {
		err := unix.SetsockoptInt(t.fd, option.level, option.name, option.value)
		if err != nil {
			return fmt.Errorf("%s: %w", option.what, err)
		}
	}
	all := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(t.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&all); err != nil {
		return fmt.Errorf("promiscuous: %w", err)
	}
	const everything = unix.ETH_P_ALL&0xff<<8 | unix.ETH_P_ALL>>8 // in network byte order
	return unix.Bind(t.fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: index})
}

// Recv takes one frame, or as much of it as b holds. EAGAIN: none waits.
func (t *Tap) Recv(b []byte) (length int, err error) { return unix.Read(t.fd, b) }

// Send sends one frame, from its Ethernet header on.
func (t *Tap) Send(frame []byte) error { return unix.Send(t.fd, frame, 0) }

// drops is how many frames found the socket's buffer full since the last call.
func (t *Tap) drops() uint64 {
	stats, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0 // of a closed socket: nothing was counted since
	}
	return uint64(stats.Drops)
}

// Close closes the socket.
func (t *Tap) Close() error { return unix.Close(t.fd) }
