package load

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	bytes  uint32 // received or sent
	_      [4]byte
}

// batch is what sendmmsg and recvmmsg take: a burst of packets in one system call. Its parts
// point to each other, so it is made by newBatch and never copied.
type batch struct {
	messages [burst]message
	vectors  [burst]unix.Iovec
	names    [burst]unix.RawSockaddrInet4
	packets  [burst][chunkBytes]byte
	named    bool // packets carry the other end's address: the socket is not connected
}

func newBatch(named bool) *batch {
	b := &batch{named: named}
	for i := range b.messages {
		b.vectors[i].Base = &b.packets[i][0]
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.Iovlen = 1
		if named {
			b.messages[i].header.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		}
	}
	return b
}

// recv receives what is there into the packets and returns how many and, through bytes, how long.
func (b *batch) recv(fd int) (n int, errno unix.Errno) {
	for i := range b.vectors {
		b.vectors[i].SetLen(chunkBytes)
		if b.named {
			b.messages[i].header.Namelen = unix.SizeofSockaddrInet4
		}
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&b.messages)), burst, unix.MSG_DONTWAIT, 0, 0)
	return int(r), errno
}

// send sends the first n packets, of which the i-th is bytes(i) long, and returns how many it took.
func (b *batch) send(fd, n int) (int, unix.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&b.messages)), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// setBytes makes the i-th packet so long.
func (b *batch) setBytes(i, bytes int) { b.vectors[i].SetLen(bytes) }

// packet is the i-th packet as received.
func (b *batch) packet(i int) []byte { return b.packets[i][:b.messages[i].bytes] }
