//go:build !invariants

package invariant

// Enabled says that the costly assertions are compiled in.
const Enabled = false
