// Package sock is the door to an AF_XDP socket that somebody else opened: it maps the socket's
// rings and wakes the kernel. It needs no privilege at all, so an application that was handed the
// socket and its frame memory as file descriptors receives and sends without passing through
// anybody.
//
//	                 Socket                          kernel
//	fill        Producer ──empty chunks──────> receive
//	rx          Consumer <──received──────────    │
//	tx          Producer ──to transmit───────> transmit
//	completion  Consumer <──chunks sent───────    │
//	KickTx      sendto ──"I published"───────> runs the transmit path, here and now
//
// It does not open, bind or attach anything (package xdp does), nor touch a frame: the memory that
// the rings' addresses point into is the caller's, and frames belong to whoever the ring says.
//
// Open, Close and the readers (Statistics) are control plane. KickTx and KickRx are for the one
// thread that works the rings; they never block, and never tell Go's scheduler about the system
// call.
package sock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/dataplane"
)

// Sizes are the entries of a socket's rings, as whoever opened it set them; the kernel does not
// tell. 0 means that the socket has no such ring: one that only sends has no Rx, and one that
// shares its queue has no Fill and no Completion, which the queue's owner runs.
type Sizes struct{ Fill, Completion, Rx, Tx uint32 }

// Socket is an AF_XDP socket with its rings mapped. It is the dataplane.Doorbell of a port over
// them.
type Socket struct {
	fd    uintptr // file's, for the hot path
	file  *os.File
	sizes Sizes
	rings dataplane.Rings
	maps  [][]byte
}

var _ dataplane.Doorbell = (*Socket)(nil)

// Open maps the rings of the AF_XDP socket in file. It takes ownership of file, also on error. A
// ring that is missing, smaller or (beyond a page of entries) larger than sizes say is an error.
func Open(file *os.File, sizes Sizes) (*Socket, error) {
	s := &Socket{fd: file.Fd(), file: file, sizes: sizes}
	if err := s.mapRings(); err != nil {
		return nil, errors.Join(fmt.Errorf("sock: open %s: %w", file.Name(), err), s.Close())
	}
	return s, nil
}

// File is the socket's file, for handing the socket to another process. It stays the Socket's.
func (s *Socket) File() *os.File { return s.file }

// FD is the descriptor to park on: it polls readable while the rx ring has entries. The kernel does
// not wake whoever polls when the interface is set down or deleted; only a kick is told.
func (s *Socket) FD() int { return int(s.fd) }

// Sizes are the entries of the rings.
func (s *Socket) Sizes() Sizes { return s.sizes }

// Rings are our ends of the rings. An end that the socket does not have is the zero value and must
// not be used. The ends keep positions of their own, so take them once, or make a Port once.
func (s *Socket) Rings() dataplane.Rings { return s.rings }

// Port returns a port over the rings with the kernel on the other side. The cache's pool must
// divide the memory that the socket was opened over, with the same chunk size.
func (s *Socket) Port(cache *dataplane.Cache, c dataplane.PortConfig) (*dataplane.Port, error) {
	if z := s.sizes; z.Fill == 0 || z.Completion == 0 || z.Rx == 0 || z.Tx == 0 {
		return nil, fmt.Errorf("sock: port over %s: it has rings of %+v, a port needs all four",
			s.file.Name(), z)
	}
	return dataplane.NewPort(s.rings, cache, s, c)
}

// Close unmaps the rings and closes the file. Whoever holds ends or a port must have stopped using
// them. The queue stays bound as long as any process holds the socket, and for some milliseconds
// longer. A second Close does nothing.
func (s *Socket) Close() error {
	var errs []error
	for _, m := range s.maps {
		if err := unix.Munmap(m); err != nil {
			errs = append(errs, fmt.Errorf("sock: unmap ring of %s: %w", s.file.Name(), err))
		}
	}
	s.maps, s.rings = nil, dataplane.Rings{}
	s.fd = closedFD
	if err := s.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		errs = append(errs, fmt.Errorf("sock: %w", err))
	}
	return errors.Join(errs...)
}

// closedFD is no descriptor of anybody's, so that a late kick finds nothing.
const closedFD = ^uintptr(0)
