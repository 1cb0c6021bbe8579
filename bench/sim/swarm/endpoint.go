package swarm

import (
	"fmt"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
)

// stream is a host's source of random bytes for keys and session numbers: a generator of its own,
// for the host and its life, from which nothing else draws.
type stream struct {
	pcg rand.PCG
	few bool // of the bits that are drawn for a number of a session there is one
}

// Read implements io.Reader.
func (s *stream) Read(b []byte) (int, error) {
	for i := 0; i < len(b); {
		v := s.pcg.Uint64()
		for range 8 {
			if i == len(b) {
				break
			}
			b[i] = byte(v)
			v >>= 8
			i++
		}
	}
	if s.few && len(b) == numberBytes {
		b[0], b[1], b[2] = 1, b[1]&0x80, b[2]&0x3f
	}
	return len(b), nil
}

// numberBytes is the length of numbers of sessions, which draw the upper 18 bits of it, and of
// those of handshakes, which need more of them.
const numberBytes = 4

// unixAtZero is the time of day at which simulations begin, in ns since 1970: any that lies within
// the certificates' time.
const unixAtZero = 1_800_000_000 * int64(core.Second)

// newEndpoint makes the runtime's transport: a new incarnation, with a key of its own.
func (h *host) newEndpoint() *transport.Endpoint {
	random := &stream{few: h.plan.FewNumbers}
	random.pcg.Seed(h.w.s.Seed^streamKeys, uint64(h.index)<<32|uint64(h.life))
	id := h.w.shared.keys.of(h.index, h.life)
	e, err := transport.New(transport.Config{
		Handshake: handshake.Config{
			Private: id.private, Certificate: id.certificate, Trust: h.w.shared.keys.trust,
			Random: random, Unix: unixAtZero - int64(h.plan.ClockAt),
		},
		MTU: h.plan.MTU, Lanes: h.plan.Lanes, KeyFrames: h.plan.KeyFrames,
		MemoryBytes: h.plan.MemoryBytes, PeerBytes: h.plan.PeerBytes,
		RenewAfter: h.plan.renewAfter(),
	})
	if err != nil {
		panic("swarm: an endpoint cannot be made: " + err.Error())
	}
	return e
}

// peer is whom to connect to: the newest incarnation of a host, whether or not it runs.
func (h *host) peer(i int) transport.Peer {
	life := max(h.w.hosts[i].life, 1)
	return transport.Peer{Path: h.path(i), Key: h.w.shared.keys.of(i, life).public}
}

// nobody is the peer of a session that is over.
const nobody = -1

// peerOf is the host that the certificate of a session's peer names, nobody if it is over.
func (h *host) peerOf(e *transport.Event) int {
	who, err := h.endpoint.Who(e.Session)
	if err != nil {
		return nobody
	}
	for i := range h.w.hosts {
		if who.Host == hostName(i) {
			return i
		}
	}
	return nobody
}

func hostName(i int) string { return fmt.Sprintf("h%d", i) }

// beginJobs lets the control plane do the arithmetic of handshakes. It is done at once, and takes
// effect when it would have been: a job's result depends on nothing but the job.
func (h *host) beginJobs() {
	for {
		j := h.endpoint.NextJob()
		if j == nil {
			return
		}
		j.Run()
		h.jobs.add(dueItem{
			at: h.busy + h.plan.Handshake, order: uint32(len(h.sums)), arg: uint64(len(h.sums)),
		})
		h.sums = append(h.sums, j)
	}
}

func (h *host) finishJob(x dueItem) {
	h.endpoint.JobDone(h.local(h.busy), h.sums[x.arg])
	h.sums[x.arg] = nil
	h.busy += h.plan.EventCost
}

// auditEndpoint lets the endpoint compare its books with what there is.
func (h *host) auditEndpoint() {
	if err := h.endpoint.Audit(h.local(h.busy)); err != nil {
		h.w.broken(&Failure{
			Invariant: "an endpoint's books are right",
			Detail:    fmt.Sprintf("host %d: %v", h.index, err),
		})
	}
}
