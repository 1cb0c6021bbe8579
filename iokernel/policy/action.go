package policy

// Kind says what becomes of a core.
type Kind uint8

// The kinds of actions.
const (
	Grant Kind = iota // Runtime gets it; whoever has it loses it
	Keep              // nobody has it, and it stays ready for a hand-over
	Park              // nobody has it, and nobody runs there
)

// Action is one change. Carried out or not, its effect stands in the next snapshot.
type Action struct {
	Kind    Kind
	Reason  Reason
	Core    int16
	Runtime int16 // of a grant, else None
	From    int16 // who owned the core, or None
	Input   int64 // the figure that decided, in the unit of the reason
}

// grown is for callers that did not bring room for one action per core.
//
//go:noinline
func grown(out []Action, a Action) []Action { return append(out, a) }

// Reason is why a core moves. The values index counters: new ones go to the end.
type Reason uint8

// The reasons. Each has a text and the unit of Action.Input.
const (
	ForReserved  Reason = iota // work waits, and the runtime has less than was reserved for it
	ForFrames                  // frames wait
	ForTask                    // a task can run, or what accompanies a worker was called or is due
	ForTimer                   // a timer falls due
	ForDelay                   // work waited longer than the threshold, so another LC gives way
	ForLoan                    // LC did not need it for that long: BE may have it
	ForIdle                    // nobody used it: BE may have it
	ForQuantum                 // the other BE runtime has had it for that long
	ForSibling                 // the request on the other hyperthread takes long
	ForBandwidth               // memory traffic is above its limit
	ForRest                    // nobody had use for it for that long
	ForShare                   // its share by the fixed division

	reasonCount = iota
)

// Unit is what the Input of an action counts.
type Unit uint8

// The units of inputs.
const (
	UnitCores Unit = iota
	UnitFrames
	UnitTime // nanoseconds
	UnitBytes
)

// reasonText says why, and the unit of the input.
var reasonText = [reasonCount]struct {
	text string
	unit Unit
}{
	ForReserved:  {"reserved", UnitCores},
	ForFrames:    {"frames wait", UnitFrames},
	ForTask:      {"a task waits", UnitTime},
	ForTimer:     {"a timer is due", UnitTime},
	ForDelay:     {"delay above the threshold", UnitTime},
	ForLoan:      {"lent, not needed", UnitTime},
	ForIdle:      {"free", UnitTime},
	ForQuantum:   {"quantum over", UnitTime},
	ForSibling:   {"slow request on the sibling", UnitTime},
	ForBandwidth: {"memory bandwidth above the limit", UnitBytes},
	ForRest:      {"unused", UnitTime},
	ForShare:     {"fixed share", UnitCores},
}

func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r].text
	}
	return "reason?"
}

// Unit is the unit of the input of actions with this reason.
func (r Reason) Unit() Unit {
	if int(r) < len(reasonText) {
		return reasonText[r].unit
	}
	return UnitCores
}

// Reasons is how many reasons there are: the length of an array of counters by reason.
const Reasons = reasonCount
