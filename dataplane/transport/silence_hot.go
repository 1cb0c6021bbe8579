package transport

import "github.com/dunlin-io/dunlin/core"

// silence is the time in which nothing of what flies was acknowledged, where that was too long at a
// stretch to be a queue's doing. A queue hands frames on one after the other, so acknowledgements
// come as regularly as frames went out; a thread that has lost its CPU, wherever on the way, stops
// all of them and lets all go at once. What a frame spent in such a silence is left out of its
// delay. That takes the place of the host delays that Swift measures with a card's time stamps
// (Kumar et al., SIGCOMM 2020, section 3.2): we have no such card, and several hosts' threads may
// be on the way.
//
// A queue shorter than the silence is hidden by it. If it drops frames these show it (see
// congestion.overflows). If not, those who wait in it as well give way: what was sent in a silence
// and is not there when it ends may be in a queue, or at another thread that has lost its CPU.
type silence struct {
	news  core.Time // when something was acknowledged last, or began to fly
	total core.Time // of all silences so far
}

// silenceAsks is how many acknowledgements a window's worth of frames asks for.
const silenceAsks = 4

// silenceLeast is the shortest silence: longer than 64 senders of 1,500 B need to take turns at 10
// Gb/s, shorter than it takes to wake a thread on a CPU that another one has. (DIARY #8)
const silenceLeast = 100 * core.Microsecond

// begin notes that something flies, where nothing did.
func (q *silence) begin(now core.Time) { q.news = now }

// mark is to be kept with a frame that is sent.
func (q *silence) mark(now core.Time) core.Time { return q.total + now - q.news }

// heard notes that something was acknowledged after the delay d, when so many bytes flew in frames
// of that size. A silence is twice as long as the pause that a queue makes, or longer.
func (q *silence) heard(now, d core.Time, flew, frame int64) {
	gap := now - q.news
	q.news = now
	if gap >= silenceLeast && int64(gap)*flew >= 2*int64(d)*max(frame, flew/silenceAsks) {
		q.total += gap
	}
}

// during is for how long there was silence since a frame with that mark was sent.
func (q *silence) during(mark core.Time) core.Time { return max(q.total-mark, 0) }
