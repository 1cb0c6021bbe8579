package arena

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/vmem"
)

// Limits of a store; see StoreOptions.
const (
	// DefaultWarm is the most that a freed slot keeps populated: a small proclet needs no more, and
	// clearing it takes 5 us. (guess)
	DefaultWarm = 256 << 10

	// DefaultSlack is what a worker may always keep idle, Hoard's K*S with K = 2 superblocks.
	DefaultSlack = 2 * blockBytes

	// DefaultGlobal is what the global heap keeps populated for all workers. (guess: as much as a
	// few workers have slack)
	DefaultGlobal = 64 << 20

	// emptyPart is 1/f of Hoard's invariant: a heap of which no more than a quarter is idle is full
	// enough, however large it is. (Hoard, ASPLOS 2000, has f = 1/4 as well.)
	emptyPart = 4

	// maxLocals bounds the workers of a store. (guess: more than CPUs)
	maxLocals = 4096

	// guardMost is how many slots are inaccessible at a time, under the build tag invariants: each
	// may cost two mappings, and a process has 65,530.
	guardMost = 8192
)

// What a store can refuse, for errors.Is.
var (
	ErrWindow  = errors.New("arena: window full")        // no address space for another slot
	ErrDead    = errors.New("arena: slot not live")      // destroyed before
	ErrForeign = errors.New("arena: slot of others")     // not this store's
	ErrRetired = errors.New("arena: worker has retired") // Local.Close was called
)

// StoreOptions bound what a store keeps for later, in bytes. 0 means the default, less than 0 means
// nothing.
type StoreOptions struct {
	Warm   int64 // that a freed slot keeps populated at most: DefaultWarm
	Slack  int64 // that a worker may keep idle whatever it uses: DefaultSlack
	Global int64 // that the global heap keeps idle: DefaultGlobal
}

// Store makes slots for arenas and takes them back. A slot that was destroyed is cleared as far as
// it was written, keeps some of its pages, and is the next slot of its class: so a small arena is
// made without a page fault or a system call.
//
//	window (Memory)   [ superblock: 64 slots of 64 KiB ][ 64 KiB .. ][ one slot of 8 MiB ][ free ]
//	                            │                            │                │             │
//	Local (one a worker) <──────┘  <── emptiest, too idle ─> └──> global <────┘           vmem
//	  Create, Destroy: no lock                                    lock          Alloc, Free: lock
//	     ^
//	     └─ inbox: slots that other workers destroyed
//
// It is Hoard (Berger and others, ASPLOS 2000) with bytes that have pages instead of objects: what
// a worker has is u bytes in live slots, and idle ones in free slots, together a. After each
// Destroy
//
//	u >= a - slack   or   u >= (1 - 1/4) a
//
// or the emptiest superblocks go to the global heap, which keeps a bounded number of idle bytes and
// gives the rest back to the system. What lies in an inbox is bounded as well: more goes to the
// loose slots, which any worker may lend again though their superblocks are others', as long as
// they and the global heap are within its bound, and without pages beyond that. So however slots
// are made and destroyed, and by whom, there are never more pages than a third above those of live
// arenas, plus a constant for each worker and one for the store.
//
// Nobody ever reads what another owner left: a slot is zero when it is lent.
type Store struct {
	memory Memory
	bytes  []byte
	mover  mover // the memory, if it can move pages
	warm   int64
	slack  int64
	most   int64 // idle bytes of global and loose bytes together

	guardMost  int64         // guardMost, but for tests
	guarded    atomic.Int64  // slots that are inaccessible now
	stubborn   atomic.Uint64 // times that the memory refused to drop or protect pages
	globalIdle atomic.Int64  // global.idle, for those who do not hold the lock
	looseBytes atomic.Int64  // populated, of the loose slots; with globalIdle at most most

	mu     sync.Mutex
	space  *vmem.Arena
	global shelf
	loose  [slotClasses]*cell // slots that did not fit into an inbox: lent by whoever comes first
	locals []*Local
}

// mover is a Memory that can move pages instead of copying them.
type mover interface {
	// Move moves what src holds to dst; what dst held is gone, and src reads as zero. After an
	// error nothing has changed.
	Move(dst, src, n int64) error
}

// NewStore returns a store of slots in a window of memory, all of which is the store's.
func NewStore(memory Memory, o StoreOptions) (*Store, error) {
	window := memory.Bytes()
	if len(window) == 0 || len(window)%PageBytes != 0 {
		return nil, fmt.Errorf("%w: a window of %d bytes: want whole pages", ErrSize, len(window))
	}
	space, err := vmem.New(vmem.Config{Name: "slots", Quantum: PageBytes})
	if err == nil {
		err = space.Add(0, uint64(len(window)))
	}
	if err != nil {
		return nil, fmt.Errorf("arena: store: %w", err)
	}
	st := &Store{
		memory: memory, bytes: window, space: space,
		warm:  orDefault(o.Warm, DefaultWarm) / PageBytes * PageBytes,
		slack: orDefault(o.Slack, DefaultSlack),
		most:  orDefault(o.Global, DefaultGlobal),

		guardMost: guardMost,
	}
	st.mover, _ = memory.(mover)
	return st, nil
}

func orDefault(n, byDefault int64) int64 {
	if n == 0 {
		return byDefault
	}
	return max(0, n)
}

// Local returns a new worker's part of the store. It belongs to one thread at a time.
func (st *Store) Local() (*Local, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.locals) == maxLocals {
		return nil, fmt.Errorf("arena: store: %d workers already", maxLocals)
	}
	l := &Local{store: st}
	st.locals = append(st.locals, l)
	return l, nil
}

// Reap gives all that the global heap keeps idle back to the system, and says how many bytes that
// were. Each worker does the same for itself: Local.Reap.
func (st *Store) Reap() (bytes int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.reap()
}

// reap is Reap. The lock is held.
func (st *Store) reap() (bytes int64) {
	g := &st.global
	bytes = st.tighten()
	for i := len(g.blocks) - 1; i >= 0; i-- {
		b := g.blocks[i]
		bytes += st.dropIdle(g, b)
		if b.empty() && b.idle == 0 {
			g.remove(b)
			st.release(b)
		}
	}
	st.globalIdle.Store(g.idle)
	return bytes
}
