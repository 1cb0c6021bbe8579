// Package invariant holds assertions. Check is always on and is for conditions that cost nothing;
// code under `if invariant.Enabled` is compiled only with the build tag `invariants`, which `make
// test` sets, and may cost as much as the test can bear.
//
// An assertion is for a programmer's error, never for input: input gets an error or a counted drop.
// The package imports nothing of ours, so everybody may use it.
package invariant

import "strconv"

// Check panics with what and the two numbers unless ok.
func Check(ok bool, what string, got, want uint64) {
	if !ok {
		fail(what, got, want)
	}
}

//go:noinline
func fail(what string, got, want uint64) {
	panic("invariant: " + what + ": got " + strconv.FormatUint(got, 10) +
		", want " + strconv.FormatUint(want, 10))
}
