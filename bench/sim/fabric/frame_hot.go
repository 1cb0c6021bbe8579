package fabric

import (
	"math/bits"

	"github.com/dunlin-io/dunlin/core/invariant"
)

// Sizes of frames are powers of two, each with a list of free ones of its own: small frames are
// most of what a simulation remembers for replays.
const (
	smallest = 7                                        // 128 B
	classes  = 8                                        // up to 16 KiB
	_        = uint(1<<(smallest+classes-1) - MaxFrame) // the largest class holds any frame
	noFrame  = -1
)

// frame is bytes that flights and memories share. Which of them is last gives it back.
type frame struct {
	mem    []byte
	refs   int32
	length uint16
	class  uint8
	next   int32 // free one of the class
}

// frames is all of a network's frames.
type frames struct {
	all     []frame
	free    [classes]int32 // first free one of each class, plus one; 0: none
	used    int
	scratch [MaxFrame]byte // a copy for the receiver of a frame that others still need
}

// take copies b into a frame that the caller shares with nobody.
func (s *frames) take(b []byte) int32 {
	class := uint8(max(bits.Len(uint(len(b)-1)), smallest) - smallest)
	i := s.free[class] - 1
	if i >= 0 {
		s.free[class] = s.all[i].next
	} else {
		i = s.grow(class)
	}
	f := &s.all[i]
	f.refs, f.length = 1, uint16(len(b))
	copy(f.mem, b)
	s.used++
	return i
}

func (s *frames) share(i int32) { s.all[i].refs++ }

func (s *frames) shared(i int32) bool { return s.all[i].refs > 1 }

func (s *frames) bytes(i int32) []byte { return s.all[i].mem }

func (s *frames) release(i int32) {
	f := &s.all[i]
	f.refs--
	invariant.Check(f.refs >= 0, "a frame of the network is released twice", uint64(i), 0)
	if f.refs == 0 {
		f.next = s.free[f.class]
		s.free[f.class] = i + 1
		s.used--
	}
}

// flight is one delivery under way.
type flight struct {
	frame    int32
	bit      int32  // to flip, or fault.NoBit
	keep     uint16 // bytes; 0: all
	from, to uint16
	next     int32 // free one
}

// flights is all of a network's deliveries.
type flights struct {
	all  []flight
	free int32 // first free one, plus one; 0: none
	used int
}

func (s *flights) add(x flight) int32 {
	s.used++
	i := s.free - 1
	if i < 0 {
		return s.grow(x)
	}
	s.free = s.all[i].next
	s.all[i] = x
	return i
}

func (s *flights) remove(i int32) {
	s.all[i].next = s.free
	s.free = i + 1
	s.used--
}
