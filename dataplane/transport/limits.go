package transport

import "github.com/dunlin-io/dunlin/core"

// Limits of what peers exchange. They are part of the format: both sides rely on them.
const (
	// MaxMessageBytes is the longest header and data of a call, reply, message or write together.
	// A longer write is several. Origin: the proclet layer's largest argument.
	MaxMessageBytes = 8 << 20
	// MaxHeaderBytes is the longest opaque header: the caller's identity, sequence and remaining
	// time need 40 bytes, and a trace 32 more. (guess, rounded up)
	MaxHeaderBytes = 128
	// MaxLanes is the most lanes of a session: one for each worker of a large host.
	MaxLanes = 64
	// MaxPartial is the most transfers of several frames under way in one direction of a lane. Two
	// suffice to fill a link; the rest hides that the last frames of each are repaired. (guess)
	MaxPartial = 16
	// blockBytes is the grain in which the parts of a transfer are counted: a segment begins at
	// a multiple of it. Small enough that a frame of 1,500 bytes wastes 4 %, large enough that
	// the bitmap of 8 MiB is 16 KiB.
	blockBytes = 64
	maxBlocks  = MaxMessageBytes / blockBytes
	// transferWindow is how many transfer numbers beyond the oldest unfinished one a lane has open:
	// the receiver remembers for each whether it is over. Half a microsecond each covers 2 ms of
	// waiting for the repair of one. A multiple of 64.
	transferWindow = 4096
	// maxFlight is the most frames of a lane that are sent and not judged, and how far back an
	// acknowledgement reaches. Origin: 10 Gb/s, 9,000 B, 5 ms; or 1,500 B and 1 ms. A power of 2.
	maxFlight = 1024
	ackWords  = maxFlight / 64
	// mostRecords is the most records of a frame: what carries data is at most maxRefs, and what
	// says something about the lane comes on top. Each may cost a look at all that is under way, so
	// a peer may not send as many as there is room for.
	mostRecords = 2 * maxRefs
)

// Limits of one side.
const (
	defaultMTU = 1500
	minMTU     = 1280 // RFC 8200: every IPv6 link carries it
	// MaxMTU is the jumbo frames that everybody means, in bytes. (no standard)
	MaxMTU = 9000

	defaultPeerBytes   = 32 << 20 // (guess: three of the largest messages)
	defaultMemoryBytes = 256 << 20
	defaultOutstanding = 1024 // transfers of one lane that wait or are under way (guess)
	maxOutstanding     = 1 << 15
	maxRequests        = 4096 // of one lane that wait for Reply; the next are refused (guess)
	maxSessions        = 1 << 14
	maxRegions         = 1 << 16
	maxRefusals        = 64 // refused writes of a lane that the peer has not yet been told of
)

// Times. A tick is what a repair may be late: acknowledgements may be held, and timers are no finer
// than a turn of the worker's loop.
const (
	// Tick is the slack of a repair: an acknowledgement may be held so long, and as long may pass
	// until a turn of the loop sees the timer.
	Tick = 50 * core.Microsecond
	// ackHold is the longest an acknowledgement of anything but a reply waits for company.
	ackHold = 25 * core.Microsecond
	// replyHold is the same for replies, which the next call acknowledges where there is one.
	replyHold = 500 * core.Microsecond
	// ackEvery is the most frames that one acknowledgement waits for. Senders of bulk ask for one
	// four times a window, so this is for many small transfers one way. (guess)
	ackEvery = 16
	// firstRTT is assumed before the first sample: slow enough for a kernel's wake-up. (guess)
	firstRTT = 500 * core.Microsecond
	// rtoFloor is the shortest retransmission time-out: above what a scheduler keeps a thread
	// waiting. Origin: Homa saw restarted calls below the 4 ms slices of Linux's softirq.
	rtoFloor = 5 * core.Millisecond
	rtoCap   = core.Second
	// creditProbeFirst and -Last bound the pause between two probes of a lane without credit.
	creditProbeFirst = core.Millisecond
	creditProbeLast  = 100 * core.Millisecond
	// keepAlive is how long a session may be silent before it asks for a sign of life.
	keepAlive        = core.Second
	defaultDeadAfter = 3 * core.Second // (guess: above a stopped debugger, below a user's patience)
	// longest is what times of a Config are cut to, some 18 years: two can be added to a time.
	longest core.Time = 1 << 59
	// lingerFor is how long a session that was closed here answers with that.
	lingerFor    = 100 * core.Millisecond
	maxAckDelay  = core.Time(1<<16-1) * ackDelayUnit
	ackDelayUnit = 64 // nanoseconds in the field of an acknowledgement
)

// Relations that the code relies on.
var (
	_ [0]struct{} = [transferWindow % 64]struct{}{}
	_ [0]struct{} = [maxFlight & (maxFlight - 1)]struct{}{}
	_ [maxAckDelay - replyHold]struct{}
	_ [Tick - 2*ackHold]struct{}
)
