package xdp

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/xdp/sock"
)

const (
	// DefaultRingEntries is the size of each ring unless SocketOptions say otherwise: what libxdp
	// takes, two bursts of 1,024 in flight.
	DefaultRingEntries = 2048

	// txBudget is how many descriptors one sendto may take, where the kernel lets us raise its 32:
	// our largest burst. (Linux 6.17; a kernel or a ring too small for it leaves 32)
	txBudget        = 64
	txBudgetDefault = 32
)

// SocketOptions describe a socket. The zero value is fine.
type SocketOptions struct {
	Name       string     // for messages: who works it
	Rings      sock.Sizes // entries; all 0 means DefaultRingEntries each
	ChunkBytes int        // MinChunkBytes or MaxChunkBytes; 0 means MaxChunkBytes
	Headroom   int        // bytes to keep free before a received frame, beside the kernel's own 256
	CopyOnly   bool       // do not try zero-copy
	BusyPoll   BusyPoll
}

// BusyPoll has the kernel run the queue's receive path when the socket's owner kicks (KickRx,
// KickTx), not when the device interrupts. It takes effect with the interface's
// napi_defer_hard_irqs and gro_flush_timeout set.
type BusyPoll struct {
	Microseconds int // 0: off. How long a kick may poll the device; kicks never wait for it
	Budget       int // frames per poll; 0 means 64, more needs CAP_NET_ADMIN
}

// Socket is an AF_XDP socket bound to a queue, its rings mapped. The File of the embedded
// sock.Socket is what a process gets that is to work the rings itself: with Sizes and the memory's
// file it opens a sock.Socket of its own.
type Socket struct {
	*sock.Socket
	iface     *Interface
	queue     int
	name      string
	chunk     int
	headroom  int
	zeroCopy  bool
	budget    int
	fallbacks []Fallback
	owner     *Socket // runs the queue's fill and completion ring; itself if it does
	memory    []byte  // held by the kernel; kept from Go's collector here
}

// Queue is the number of the queue.
func (s *Socket) Queue() int { return s.queue }

// ZeroCopy reports whether the driver reads and writes the memory itself.
func (s *Socket) ZeroCopy() bool { return s.zeroCopy }

// TxBudget is how many descriptors one kick takes at most.
func (s *Socket) TxBudget() int { return s.budget }

// OwnsQueue reports whether the socket has the queue's fill and completion ring.
func (s *Socket) OwnsQueue() bool { return s.owner == s }

// String names the socket in messages.
func (s *Socket) String() string {
	if s.name == "" {
		return fmt.Sprintf("the socket of queue %d", s.queue)
	}
	return fmt.Sprintf("socket %q of queue %d", s.name, s.queue)
}

// An OwnedError says that a queue's fill and completion ring have an owner in this Interface
// already.
type OwnedError struct {
	Interface string
	Queue     int
	Owner     *Socket
}

func (e *OwnedError) Error() string {
	return fmt.Sprintf("xdp: %s queue %d: %s runs its fill and completion ring, and there can be "+
		"one such owner only; share its memory (OpenShared) or use another queue", e.Interface,
		e.Queue, e.Owner)
}

// OpenSocket opens a socket on a queue over memory, whole pages of it, and makes it the owner of
// the queue's fill and completion ring. A queue that is busy is tried again for 200 ms, since the
// kernel lets go of one some time after its socket was closed, and for 2 s if no process is seen to
// hold it; then it is a *BusyError.
func (i *Interface) OpenSocket(queue int, memory []byte, o SocketOptions) (*Socket, error) {
	if o.ChunkBytes == 0 {
		o.ChunkBytes = MaxChunkBytes
	}
	if o.Rings == (sock.Sizes{}) {
		const n = DefaultRingEntries
		o.Rings = sock.Sizes{Fill: n, Completion: n, Rx: n, Tx: n}
	}
	s := &Socket{
		iface: i, queue: queue, name: o.Name, chunk: o.ChunkBytes, headroom: o.Headroom,
		memory: memory,
	}
	s.owner = s
	if err := checkFrames(i.features.MTU, o.ChunkBytes, o.Headroom, i.frags); err != nil {
		return nil, s.wrap(err)
	}
	if o.Rings.Fill == 0 || o.Rings.Completion == 0 {
		return nil, s.wrap(errors.New("the owner of a queue needs a fill and a completion ring"))
	}
	return i.openSocket(s, o, func(fd int) error {
		if err := registerMemory(fd, memory, o.ChunkBytes, o.Headroom, 0); err != nil {
			return fmt.Errorf("register %d bytes of memory in chunks of %d with headroom %d: %w",
				len(memory), o.ChunkBytes, o.Headroom, err)
		}
		if err := setRings(fd, o.Rings); err != nil {
			return err
		}
		return s.bindOwner(fd, o)
	})
}

// OpenShared opens a socket over the memory of another one. On the other's queue it has no fill and
// no completion ring: whoever runs the owner's puts chunks in and takes them out for both. On
// another queue it owns that queue's.
//
// Chunk size, headroom, multi-buffer and zero-copy are the other socket's.
func (i *Interface) OpenShared(queue int, with *Socket, o SocketOptions) (*Socket, error) {
	s := &Socket{
		iface: i, queue: queue, name: o.Name, chunk: with.chunk, headroom: with.headroom,
		memory: with.memory,
	}
	s.owner = s
	if o.Rings == (sock.Sizes{}) {
		const n = DefaultRingEntries
		o.Rings = sock.Sizes{Fill: n, Completion: n, Rx: n, Tx: n}
		if queue == with.queue {
			o.Rings.Fill, o.Rings.Completion = 0, 0
		}
	}
	own := o.Rings.Fill > 0 && o.Rings.Completion > 0
	if queue == with.queue {
		s.owner = with.owner
		if o.Rings.Fill > 0 || o.Rings.Completion > 0 {
			return nil, &OwnedError{
				Interface: i.features.Interface, Queue: queue,
				Owner: with.owner,
			}
		}
	} else if !own {
		return nil, s.wrap(errors.New("the owner of a queue needs a fill and a completion ring"))
	}
	return i.openSocket(s, o, func(fd int) error {
		if err := setRings(fd, o.Rings); err != nil {
			return err
		}
		return s.bind(fd, &unix.SockaddrXDP{
			Flags:        unix.XDP_SHARED_UMEM,
			Ifindex:      uint32(i.features.Index),
			QueueID:      uint32(queue),
			SharedUmemFD: uint32(with.FD()),
		})
	})
}

// openSocket opens s; prepare takes it from an unbound descriptor to a bound one.
func (i *Interface) openSocket(s *Socket, o SocketOptions,
	prepare func(fd int) error,
) (*Socket, error) {
	i.mu.Lock() // over the bind, so that two calls do not race for a queue
	defer i.mu.Unlock()
	if i.closed {
		return nil, s.wrap(os.ErrClosed)
	}
	if s.queue < 0 || s.queue >= i.features.Queues {
		return nil, s.wrap(fmt.Errorf("the interface has queues 0 to %d", i.features.Queues-1))
	}
	for _, other := range i.open {
		if s.OwnsQueue() && other.OwnsQueue() && other.queue == s.queue {
			return nil, &OwnedError{Interface: i.features.Interface, Queue: s.queue, Owner: other}
		}
	}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, s.wrap(fmt.Errorf("open an AF_XDP socket: %w (needs CAP_NET_RAW)", err))
	}
	file := os.NewFile(uintptr(fd), fmt.Sprintf("xsk:%s:%d", i.features.Interface, s.queue))
	if err := prepare(fd); err != nil {
		return nil, errors.Join(s.wrap(err), file.Close())
	}
	s.tune(fd, o)
	if s.Socket, err = sock.Open(file, o.Rings); err != nil {
		return nil, s.wrap(err)
	}
	if s.zeroCopy, err = s.Socket.ZeroCopy(); err != nil {
		return nil, errors.Join(s.wrap(err), s.Socket.Close())
	}
	i.open = append(i.open, s)
	return s, nil
}

// wrap says what could not be opened.
func (s *Socket) wrap(err error) error {
	var busy *BusyError
	if err == nil || errors.As(err, &busy) {
		return err
	}
	return fmt.Errorf("xdp: open %s of %s: %w", s, s.iface.features.Interface, err)
}

// Close unmaps the rings and closes our copy of the socket. Whoever works the rings must have
// stopped. The owner of a queue refuses while others share it. A second Close does nothing.
func (s *Socket) Close() error {
	s.iface.mu.Lock()
	defer s.iface.mu.Unlock()
	at := slices.Index(s.iface.open, s)
	if at < 0 {
		return nil
	}
	for _, other := range s.iface.open {
		if other != s && other.owner == s {
			return fmt.Errorf("xdp: close %s: %s shares its queue and is still open", s, other)
		}
	}
	s.iface.open = slices.Delete(s.iface.open, at, at+1)
	return s.Socket.Close()
}
