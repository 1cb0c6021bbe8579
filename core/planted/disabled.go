//go:build !planted

package planted

// Enabled says whether mistakes can be made.
const Enabled = false

// On is whether a mistake is to be made.
func On(Bug) bool { return false }

// Choose panics: this build makes no mistakes on purpose.
func Choose(b Bug) {
	if b != None {
		panic("planted: built without the tag planted: " + b.String() + " cannot be chosen")
	}
}
