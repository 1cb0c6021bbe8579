package transport

import "github.com/dunlin-io/dunlin/core"

// The size of frames follows RFC 8899: begin with what every path carries, probe for more with
// padding that may be lost, and go back when large frames vanish while small ones arrive.
const (
	// blackHole is how many large frames must be lost, and none arrive, before a path is taken to
	// have shrunk: 30 % loss does that by chance once in 170,000 times.
	blackHole = 10
	// probeTries is how often a size is tried before it counts as too large (RFC 8899: MAX_PROBES).
	probeTries = 3
	probePause = 10 * core.Millisecond
	// probeAgain is when a size that did not pass is tried again. (RFC 8899 says 600 s; routes
	// inside a cluster heal sooner)
	probeAgain = 30 * core.Second
)

// mtu is the size of frames of a session.
type mtu struct {
	now     int // MTU in use
	most    int // what both ends have
	frame   int // bytes of a frame of that MTU, headers of Ethernet included
	tries   int
	probing bool // a probe flies
	at      core.Time
}

func (m *mtu) set(v int) {
	m.now = v
	m.frame = v + 14
}

// above is the next size to try, 0 if there is none.
func (m *mtu) above() int {
	switch {
	case m.now >= m.most:
		return 0
	case m.now < defaultMTU && m.most >= defaultMTU:
		return defaultMTU
	}
	return m.most
}

// want reports whether a probe should go.
func (m *mtu) want(now core.Time) bool { return !m.probing && m.now < m.most && now >= m.at }

func (m *mtu) arrived(size int) {
	m.probing, m.tries = false, 0
	if size > m.now {
		m.set(min(size, m.most))
	}
}

func (m *mtu) vanished(now core.Time) {
	m.probing = false
	if m.tries++; m.tries < probeTries {
		m.at = now + probePause
		return
	}
	m.tries, m.at = 0, now+probeAgain
}

// shrink goes back to the size below.
func (m *mtu) shrink(now core.Time) bool {
	if m.now <= minMTU {
		return false
	}
	if m.now > defaultMTU {
		m.set(defaultMTU)
	} else {
		m.set(minMTU)
	}
	m.probing, m.tries, m.at = false, 0, now+probeAgain
	return true
}

// resize tells the lanes that frames have another size.
func (s *session) resize() {
	for _, l := range s.lanes {
		l.congestion.resize(s.mtu.frame)
	}
}
