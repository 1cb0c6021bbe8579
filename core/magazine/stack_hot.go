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

// link is what lies below a magazine on its stack, as number + 1 in its low half, and the depot's
// period when it was pushed in its high half.
type link = atomic.Uint64

// push reports whether another's change came in between.
func (s *stack) push(next []link, number, period uint32) (contended bool) {
	for {
		old := s.head.Load()
		next[number].Store(uint64(period)<<32 | uint64(uint32(old)))
		if s.replace(old, number+1) {
			return contended
		}
		contended = true
	}
}

// pop takes the uppermost; false when there is none. It reports whether another's change came in
// between.
func (s *stack) pop(next []link) (number uint32, ok, contended bool) {
	for {
		old := s.head.Load()
		top := uint32(old)
		if top == 0 {
			return 0, false, contended
		}
		below := uint32(next[top-1].Load()) // stale if we were overtaken; then the exchange fails
		if s.replace(old, below) {
			return top - 1, true, contended
		}
		contended = true
	}
}

// replace makes top the uppermost unless the stack changed since old was read.
func (s *stack) replace(old uint64, top uint32) bool {
	return s.head.CompareAndSwap(old, (old>>32+1)<<32|uint64(top))
}

// settled counts the magazines that were pushed in a period before that one. Since the last to come
// is the first to go, nobody has needed that many since. While others trade it is a guess.
func (s *stack) settled(next []link, period uint32) (n int) {
	at := uint32(s.head.Load())
	for range next { // others may bend the way into a ring
		if at == 0 {
			break
		}
		l := next[at-1].Load()
		if uint32(l>>32) != period {
			n++
		}
		at = uint32(l)
	}
	return n
}
