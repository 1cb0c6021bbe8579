package sock

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core/ring"
)

// kernelRing is one of a socket's rings as the kernel describes it.
type kernelRing struct {
	name   string
	page   int64 // what mmap wants as offset
	layout ring.Offsets
}

// mapRings maps the rings that the socket is said to have and makes our ends of them.
func (s *Socket) mapRings() error {
	o, err := mmapOffsets(int(s.fd))
	if err != nil {
		return fmt.Errorf("ask for ring offsets: %w", err)
	}
	fill := kernelRing{"fill", unix.XDP_UMEM_PGOFF_FILL_RING, layout(o.Fr)}
	if err := mapProducer(s, fill, s.sizes.Fill, ring.AddrBytes, &s.rings.Fill); err != nil {
		return err
	}
	completion := kernelRing{"completion", unix.XDP_UMEM_PGOFF_COMPLETION_RING, layout(o.Cr)}
	err = mapConsumer(s, completion, s.sizes.Completion, ring.AddrBytes, &s.rings.Completion)
	if err != nil {
		return err
	}
	rx := kernelRing{"rx", unix.XDP_PGOFF_RX_RING, layout(o.Rx)}
	if err := mapConsumer(s, rx, s.sizes.Rx, ring.DescBytes, &s.rings.Rx); err != nil {
		return err
	}
	tx := kernelRing{"tx", unix.XDP_PGOFF_TX_RING, layout(o.Tx)}
	return mapProducer(s, tx, s.sizes.Tx, ring.DescBytes, &s.rings.Tx)
}

func layout(o unix.XDPRingOffset) ring.Offsets {
	return ring.Offsets{Producer: o.Producer, Consumer: o.Consumer, Flags: o.Flags, Entries: o.Desc}
}

func mapProducer[T ring.Entry](s *Socket, r kernelRing, n uint32, entryBytes uint64,
	end *ring.Producer[T],
) error {
	mem, err := s.mapRing(r, n, entryBytes)
	if err != nil || n == 0 {
		return err
	}
	*end, err = ring.NewProducer[T](mem, r.layout, n)
	return err
}

func mapConsumer[T ring.Entry](s *Socket, r kernelRing, n uint32, entryBytes uint64,
	end *ring.Consumer[T],
) error {
	mem, err := s.mapRing(r, n, entryBytes)
	if err != nil || n == 0 {
		return err
	}
	*end, err = ring.NewConsumer[T](mem, r.layout, n)
	return err
}

// mapRing maps a ring of n entries; nothing if n is 0.
func (s *Socket) mapRing(r kernelRing, n uint32, entryBytes uint64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if n > ring.MaxEntries {
		return nil, fmt.Errorf("%s ring of %d entries: want at most %d", r.name, n, ring.MaxEntries)
	}
	m, err := s.mapPages(r, pages(r.layout.Bytes(n, entryBytes)))
	if err != nil {
		return nil, fmt.Errorf("map %s ring of %d entries, which must exist in that size: %w",
			r.name, n, err)
	}
	s.maps = append(s.maps, m)
	// An end with too small a mask would overwrite entries in use. The kernel maps no more than the
	// ring has, so one that can be mapped in twice the size is larger than we were told.
	if twice := pages(r.layout.Bytes(2*n, entryBytes)); twice > uint64(len(m)) {
		if m, err := s.mapPages(r, twice); err == nil {
			s.maps = append(s.maps, m)
			return nil, fmt.Errorf("%s ring has more than the %d entries it should have", r.name, n)
		}
	}
	return m, nil
}

func (s *Socket) mapPages(r kernelRing, bytes uint64) ([]byte, error) {
	return unix.Mmap(int(s.fd), r.page, int(bytes), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_POPULATE)
}

// pages rounds up to whole pages.
func pages(bytes uint64) uint64 {
	p := uint64(os.Getpagesize())
	return (bytes + p - 1) / p * p
}
