package magazine

import "sync/atomic"

// stack is Treiber's stack (IBM RJ 5118, 1986) of magazine numbers. The head holds a number + 1 in
// its low half, 0 for none, and a tag in its high half that each change raises: a pop that was
// overtaken by pop, pop, push of the same magazine sees another tag and tries again. (A thread
// would have to sleep through exactly 2^32 changes to be fooled.)
type stack struct {
	head atomic.Uint64
	_    [lineBytes - 8]byte // the stacks are written by different trades
}

func (s *stack) push(next []atomic.Uint32, number uint32) {
	for {
		old := s.head.Load()
		next[number].Store(uint32(old))
		if s.replace(old, number+1) {
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
		below := next[top-1].Load() // stale if we were overtaken; then the exchange fails
		if s.replace(old, below) {
			return top - 1, true
		}
	}
}

// replace makes top the uppermost unless the stack changed since old was read.
func (s *stack) replace(old uint64, top uint32) bool {
	return s.head.CompareAndSwap(old, (old>>32+1)<<32|uint64(top))
}
