package baton

// Party is one worker's part in the protocol of its core. It is a machine without system calls: its
// loop asks See what to do about each new word and does it. The zero Party is nobody's.
//
//	            sees itself                  sees another, or nobody
//	waiting ───────────────────> holding ──────────────────────────────> waiting
//	   │ ^  takes up                │ ^   leaves; wakes the other,           │
//	   └─┘  sees another:           └─┘   if there is one and this word is   └─ sleeps on the word
//	        wakes it, once          sees   new to it                            that it saw
//	        for each word           itself:
//	                                takes up
type Party struct {
	self  Owner
	holds bool
	known bool // seen is a word, not the beginning
	seen  Word // the last one acted on
}

// NewParty returns the part of a worker of that owner, which does not hold the core.
func NewParty(self Owner) Party { return Party{self: self} }

// Self is whose part it is.
func (p *Party) Self() Owner { return p.self }

// Holds reports whether nothing has changed since the core was taken up: w, which the core's word
// is now, is what was seen last and names us. It is asked once per turn of a loop.
func (p *Party) Holds(w Word) bool { return w == p.seen && p.holds }

// Holding reports whether the core was ours at the last look.
func (p *Party) Holding() bool { return p.holds }

// Seen is the word at the last look.
func (p *Party) Seen() Word { return p.seen }

// Move is what a party does next.
type Move uint8

// The moves.
const (
	Work Move = iota // take the grant up and work
	Hand             // wake the word's owner, then wait
	Rest             // wait
)

// See takes notice of the core's word and says what follows from it. To wait is to sleep until the
// word is no longer w, or somebody wakes the bit of Self, or a signal comes; then to load the word
// and to See it.
func (p *Party) See(w Word) Move {
	fresh := !p.known || w != p.seen
	p.known, p.seen, p.holds = true, w, w.Owner() == p.self && p.self != Nobody
	switch {
	case p.holds:
		return Work
	case fresh && w.Owner() != Nobody:
		return Hand
	}
	return Rest
}
