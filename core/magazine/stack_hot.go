package magazine

import "sync/atomic"

// stack is Treiber's stack (IBM RJ 5118, 1986) of magazine numbers. The head holds a number + 1 in
// its low half, 0 for none, and a tag in its high half that each change raises: a pop that was
// overtaken by pop, pop, push of the same magazine sees another tag and tries again.
type stack struct {
	head atomic.Uint64
	_    [56]byte // one line each: the two stacks are written by different trades
}

func (s *stack) push(next []atomic.Uint32, number uint32) {
	for {
		old := s.head.Load()
		next[number].Store(uint32(old))
		if s.head.CompareAndSwap(old, (old>>32+1)<<32|uint64(number+1)) {
			return
		}
	}
}

func (s *stack) pop(next []atomic.Uint32) (number uint32, ok bool) {
	for {
		old := s.head.Load()
		top := uint32(old)
		if top == 0 {
			return 0, false
		}
		below := next[top-1].Load() // stale if we were overtaken; then the swap fails
		if s.head.CompareAndSwap(old, (old>>32+1)<<32|uint64(below)) {
			return top - 1, true
		}
	}
}
