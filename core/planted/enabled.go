//go:build planted

package planted

import "sync/atomic"

// Enabled says whether mistakes can be made.
const Enabled = true

// chosen is the mistake of this process. An array, because nothing but a measurement of the
// simulator is ever built with it.
var chosen [1]atomic.Uint32

// On is whether a mistake is to be made.
func On(b Bug) bool { return chosen[0].Load() == uint32(b) }

// Choose makes one mistake from now on, everywhere in this process; None makes none.
func Choose(b Bug) { chosen[0].Store(uint32(b)) }
