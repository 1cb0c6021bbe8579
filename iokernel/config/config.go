// Package config is what an iokernel is told: its settings, where each comes from, and which values
// make sense together.
//
//	flag --xdp-mode, over variable DUNLIN_XDP_MODE, over file xdp: {mode: }, over Default
//	       │                    │                           │                       │
//	       └────────────────────┴───────── Load ────────────┴───────────────────────┘
//	                                        └──> Effective: Config, and the origin of each value
//
// One table (settings.go, runtime.go) names every key once; file, environment and flags all go
// through it, so a key has one name, one syntax and one message. The file is strict: an unknown
// key, a key given twice or a value of the wrong form is an error with its line and column, and all
// such errors are reported at once.
//
// The package is pure: bytes and strings in, a Config out. Reading the file, the environment and
// the user database is the caller's. It does not know the machine either: that the interface exists
// or that a CPU may be used is found out by whoever uses the Config (Machine checks the CPUs).
package config

import (
	"net/netip"

	"github.com/dunlin-io/dunlin/core"
)

// Config is everything that an iokernel is told. Default, then change fields, then Validate is how
// a program builds one without a file.
type Config struct {
	Interface         string    // name of the network interface, required
	CPU               CPU       // the iokernel's own core
	Poll              Poll      // what to do when there is nothing to do
	Spin              core.Time // how long to poll in vain before parking, in ns; adaptive only
	XDP               XDP
	AllowDefaultRoute bool // take the interface even if it carries the default route
	VerifyChecksums   bool // check IP and UDP checksums of received packets
	Cores             Cores
	Control           Control
	Metrics           Metrics
	Log               Log
	Cluster           Cluster
	Runtimes          []Runtime
}

// XDP says how the iokernel's own AF_XDP sockets are set up.
type XDP struct {
	Mode        XDPMode
	ZeroCopy    Wish
	Queues      Queues // that the iokernel serves; not those of direct runtimes
	BusyPoll    bool   // preferred busy polling
	RingEntries int    // of each ring of each queue, a power of two
	Frames      int    // of a queue's frame memory
	ChunkBytes  int    // of one frame: 2048 or 4096
	Jumbo       Wish   // packets that span several frames
}

// Cores says which CPUs are lent to runtimes of class lc and be, and how.
type Cores struct {
	Lend           Lend
	Policy         CorePolicy
	Interval       core.Time // between two looks of the policy at what waits, at most
	Threshold      core.Time // queueing delay from which an lc runtime takes a core from another
	YieldDeadline  core.Time // a core that has not passed on by then is taken by force
	StuckDeadline  core.Time // ... and by then its worker is reported as stuck
	EvictStuck     bool      // and its runtime evicted
	BandwidthLimit int       // MB/s of all memory traffic above which be gives way; 0: none
}

// Control is the socket that runtimes attach through.
type Control struct {
	Socket string   // path
	Mode   FileMode // of the socket file
	Group  Account  // of the socket file; unset leaves the iokernel's own
}

// Metrics is the HTTP server for /metrics, /livez and /readyz.
type Metrics struct {
	Listen string // host:port; empty means none
	Pprof  bool   // serve /debug/pprof as well
}

// Log says what is logged and how.
type Log struct {
	Level  LogLevel
	Format LogFormat
}

// Runtime is an application that may attach, and what it gets. What a runtime gets comes from here
// and never from the runtime.
type Runtime struct {
	Name        string
	UIDs        []Account // users who may attach under this name
	GIDs        []Account // groups whose members may
	Workers     int       // run-to-completion loops, one port each
	CPUs        CPUs      // worker k is pinned to the k-th, modulo their number; none: any
	Frames      int       // of the frame memory that its workers share
	ChunkBytes  int       // of one frame: 2048 or 4096
	RingEntries int       // of each of a port's four rings, a power of two
	AllowDirect bool      // may be handed the queues Queue to Queue+Workers-1 as its own
	Queue       int       // NoQueue if unset
	Class       Class     // whether its cores come and go, and who gives way to whom
	Reserved    int       // cores that it has at once when it has work
	Most        int       // cores that it may have; 0: as many as are lent
	Quantum     core.Time // of class be: how long it keeps a core that another one wants
	// RequestBudget is of class lc: a request that takes longer has its core's other hyperthread
	// left idle; 0: never.
	RequestBudget core.Time
	Endpoints     []Endpoint
}

// NoQueue is the Queue of a runtime that has none of its own.
const NoQueue = -1

// Endpoint is what a runtime serves: an EtherType, or a UDP port.
type Endpoint struct {
	EtherType uint16     // 0: it is a UDP port
	UDP       uint16     // 0: it is an EtherType
	Address   netip.Addr // of the interface; the zero Addr means each of its addresses
}

// Default is the configuration of an empty file.
func Default() Config {
	return Config{
		CPU:  AnyCPU,
		Spin: 50 * core.Microsecond, // guess: a dozen round trips on a veth
		XDP: XDP{
			Queues:      Queues{All: true},
			RingEntries: 2048, // what drivers use for theirs
			Frames:      4096, // a full fill ring and as many on their way out
			ChunkBytes:  maxChunkBytes,
		},
		Cores: Cores{
			Policy:        PolicyCaladan,
			Interval:      5 * core.Microsecond,  // Caladan's
			Threshold:     10 * core.Microsecond, // Caladan's
			YieldDeadline: 50 * core.Microsecond, // five requests of the threshold's length
			StuckDeadline: 10 * core.Millisecond, // guess: far beyond what the kernel takes away
		},
		Control: Control{Socket: "/run/dunlin/iokernel.sock", Mode: 0o660},
	}
}

// DefaultRuntime is the runtime of an empty entry: it lacks a name, users and endpoints.
func DefaultRuntime() Runtime {
	return Runtime{
		Workers:     1,
		Frames:      4096,
		ChunkBytes:  maxChunkBytes,
		RingEntries: 1024,
		Queue:       NoQueue,
		Quantum:     core.Millisecond, // guess: half a thousand hand-overs
	}
}
