package swarm

// Rare counts the named states that a swarm must reach: those in which mistakes hide.
type Rare [rareStates]uint64

// State is one of them.
type State struct {
	Name  string
	Count uint64
}

const (
	rareProbeRepaired = iota

	rareStates = iota
)

var rareText = [rareStates]string{
	rareProbeRepaired: "a probe repaired a lost tail",
}

// SeedsForRare is how many seeds of DefaultFrames reach every state with certainty for all purposes:
// ten times what the rarest needs. (measured; docs/SIMULATION.md)
const SeedsForRare = 1000

// States is all of them in a fixed order.
func (r *Rare) States() []State {
	all := make([]State, rareStates)
	for i := range r {
		all[i] = State{rareText[i], r[i]}
	}
	return all
}

func (r *Rare) add(other *Rare) {
	for i := range r {
		r[i] += other[i]
	}
}
