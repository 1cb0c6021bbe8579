package metrics

import "github.com/dunlin-io/dunlin/core"

// Snapshot is what an iokernel has counted: at one moment for each part, not for all of them.
// Counts only grow, except that a part which was made anew (an attachment) begins at 0.
type Snapshot struct {
	Interface Interface
	Loop      Loop
	Steer     []Count // frames by what the XDP program did with them
	Queues    []Queue
	Runtimes  []Runtime // all of the configuration
	Control   Control
	Cores     CoreSnapshot
}

// Count is a number of events by reason. Reasons become labels: lower case with underscores, and a
// fixed set.
type Count struct {
	Reason string
	Count  uint64
}

// Interface is what the iokernel serves.
type Interface struct {
	Name     string
	XDPMode  string // "native" or "generic"
	ZeroCopy bool
	Up       bool
}

// Loop is the iokernel's dataplane loop.
type Loop struct {
	CPU        int
	Busy, Idle core.Time // ns; idle includes parked
	Turns      uint64
	Parks      uint64
}

// Traffic is packets and their bytes, Ethernet header included.
type Traffic struct {
	RxPackets, RxBytes uint64
	TxPackets, TxBytes uint64
}

// Queue is one receive and transmit queue of the interface.
type Queue struct {
	Queue int
	Traffic
	Drops  []Count
	Stalls []Count // turns in which work had to wait, by cause
	XDP    []Count // XDP_STATISTICS of the queue's socket
}

// Runtime is one runtime of the configuration.
type Runtime struct {
	Name string
	Mode string // "mediated" or "direct"; empty: not attached
	Traffic
	Switched  uint64 // sent packets that went to a runtime of this host
	Wakes     uint64 // of its workers
	Drops     []Count
	Evictions []Count // since the iokernel's start
	Workers   []Worker
}

// Worker is one worker of an attached runtime.
type Worker struct {
	Worker int
	CPU    int
	Traffic
	Wakes uint64
}

// Control is the control socket.
type Control struct {
	Connections uint64
	Attached    uint64
	Detached    uint64
	Refusals    []Count
}
