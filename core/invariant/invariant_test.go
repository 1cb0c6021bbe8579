package invariant

import "testing"

func TestCheck(t *testing.T) {
	Check(true, "nothing", 1, 2)
	defer func() {
		const want = "invariant: frames in flight: got 18446744073709551615, want 3"
		if got := recover(); got != want {
			t.Errorf("panicked with %v, want %q", got, want)
		}
	}()
	Check(false, "frames in flight", 1<<64-1, 3)
}

func TestCheckDoesNotAllocate(t *testing.T) {
	n := uint64(0)
	if got := testing.AllocsPerRun(100, func() { n++; Check(n > 0, "count", n, 1) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
