package magazine

import "testing"

// TestOvertakenPop plays the interleaving that a stack without tags gets wrong: A reads head and
// what is below it, B pops both and pushes the first again, A exchanges. Without the tag A would
// make the magazine that B holds the head.
func TestOvertakenPop(t *testing.T) {
	next := make([]link, 3)
	var s stack
	for i := range uint32(3) {
		s.push(next, i, 0)
	}

	old := s.head.Load() // A has read 2 on top
	below := uint32(next[uint32(old)-1].Load())

	if n, _, _ := s.pop(next); n != 2 { // B
		t.Fatalf("popped %d", n)
	}
	held, _, _ := s.pop(next)
	s.push(next, 2, 0)

	if uint32(s.head.Load()) != uint32(old) {
		t.Fatal("the interleaving does not bring back the same top")
	}
	if s.replace(old, below) {
		t.Fatalf("an overtaken pop succeeded: %d is on the stack and in B's hand", held)
	}
	if n, ok, _ := s.pop(next); !ok || n != 2 {
		t.Errorf("popped %d, %v, want 2", n, ok)
	}
	if n, ok, _ := s.pop(next); !ok || n != 0 {
		t.Errorf("popped %d, %v, want 0", n, ok)
	}
	if n, ok, _ := s.pop(next); ok {
		t.Errorf("popped %d from an empty stack", n)
	}
}

// An overtaken push must not lose what was pushed in between.
func TestOvertakenPush(t *testing.T) {
	next := make([]link, 2)
	var s stack
	old := s.head.Load() // A will push 0 onto nothing
	next[0].Store(uint64(uint32(old)))
	s.push(next, 1, 0) // B
	if s.replace(old, 0+1) {
		t.Fatal("an overtaken push succeeded: 1 is lost")
	}
}

// TestTagWraps shows that a tag at its end only starts over.
func TestTagWraps(t *testing.T) {
	next := make([]link, 1)
	var s stack
	s.head.Store(0xFFFF_FFFF << 32)
	s.push(next, 0, 0)
	if n, ok, _ := s.pop(next); !ok || n != 0 || s.head.Load()>>32 != 1 {
		t.Errorf("popped %d, %v, head %#x", n, ok, s.head.Load())
	}
}
