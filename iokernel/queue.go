package iokernel

import (
	"slices"

	"github.com/dunlin-io/dunlin/dataplane"
)

// queue is one NIC queue and the packets that wait to go out on it.
type queue struct {
	link    dataplane.Link
	cache   *dataplane.Cache
	burst   [dataplane.MaxBurst]dataplane.Frame // what Recv filled
	out     [maxOut]dataplane.Frame             // taken from runtimes, not yet taken by the link
	backlog int                                 // frames in out
	ports   []*port                             // whose packets go out here
	share   uint32                              // frames that a port may send in a round
	turn    int                                 // index of the port that the next turn begins with
	left    uint32                              // of its share
	budget  int                                 // frames that may yet be taken in this turn
	dry     bool                                // a packet found no free frame in this turn
	counts  QueueCounters
}

func newQueue(link dataplane.Link, cache *dataplane.Cache) *queue {
	return &queue{link: link, cache: cache, share: dataplane.MaxBurst, left: dataplane.MaxBurst}
}

// hasRoom reports whether any packet may be taken: what goes to other runtimes takes no room in
// out, but time.
func (q *queue) hasRoom() bool {
	return q.budget > 0 && !q.dry && q.backlog+dataplane.MaxSegments <= maxOut
}

// leave takes the ports of a runtime out.
func (q *queue) leave(r *Runtime) {
	q.ports = slices.DeleteFunc(q.ports, func(p *port) bool { return p.runtime == r })
	q.turn, q.left = 0, q.share
}

// maxOut is the frames that may wait for a link that is full: one burst and the packet at its edge.
// Nothing more is taken from runtimes while fewer than a packet's frames fit.
const maxOut = dataplane.MaxBurst + dataplane.MaxSegments

// minShare is the fewest frames that a worker's turn is worth. (guess: an eighth of a burst spreads
// the stores to its rings' indices well enough)
const minShare = dataplane.MaxBurst / 8

// nowhere is the link of a Dataplane without NIC queues. It has no cache, so nothing is sent on it.
type nowhere struct{}

func (nowhere) Recv([]dataplane.Frame) int { return 0 }
func (nowhere) Send([]dataplane.Frame) int { return 0 }
func (nowhere) Flush()                     {}
func (nowhere) Pending() bool              { return false }

// QueueCounters are what a queue's packets came to. They belong to the Dataplane's thread.
type QueueCounters struct {
	RxPackets, RxBytes uint64
	TxPackets, TxBytes uint64
	Drops              [DropCount]uint64 // those from the NIC
	NoFrames           uint64            // turns in which no frame was free to send from
	TxFull             uint64            // turns in which the link did not take all
}

// QueueCounters returns a copy of a queue's counts.
func (d *Dataplane) QueueCounters(i int) QueueCounters { return d.queues[i].counts }

// Held is how many frames of a queue's pool the Dataplane holds, for an audit.
func (d *Dataplane) Held(i int) int { return d.queues[i].backlog }
