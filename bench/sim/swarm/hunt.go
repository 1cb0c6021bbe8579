package swarm

import (
	"maps"
	"slices"

	"github.com/dunlin-io/dunlin/core/planted"
)

// Hunt is how a mistake that was made on purpose was found.
type Hunt struct {
	Bug       planted.Bug
	Tries     int
	Found     int      // tries in which it was, within the most seeds
	Seeds     []uint64 // that each of those needed, in order of size
	Invariant string   // that broke most often
}

// Median is the median number of seeds over all tries; 0 if more than half found nothing.
func (h *Hunt) Median() uint64 {
	if h.Found*2 <= h.Tries {
		return 0
	}
	return h.Seeds[h.Tries/2]
}

// HuntFor makes a mistake and counts the seeds until something breaks, several times, with fresh
// seeds each time. The build must be able to make mistakes (core/planted).
func HuntFor(bug planted.Bug, base uint64, tries, most int, frames uint64) Hunt {
	planted.Choose(bug)
	defer planted.Choose(planted.None)
	h := Hunt{Bug: bug, Tries: tries}
	broke := map[string]int{}
	r := NewRunner()
	for try := range tries {
		for i := range most {
			s := Draw(base+uint64(try*most+i), frames)
			result := r.Run(&s)
			if result.Failure != nil {
				h.Found++
				h.Seeds = append(h.Seeds, uint64(i)+1)
				broke[result.Failure.Invariant]++
				break
			}
		}
	}
	slices.Sort(h.Seeds)
	best := 0
	for _, name := range slices.Sorted(maps.Keys(broke)) {
		if broke[name] > best {
			best, h.Invariant = broke[name], name
		}
	}
	return h
}
