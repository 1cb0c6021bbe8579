package iokernel

import "github.com/dunlin-io/dunlin/dataplane"

// collect takes up to a burst from the workers of a queue, as much as fits. Who sends much must not
// keep others from sending: in each round a worker has a share of the burst, a whole one only while
// it is alone. This is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) over frames: the
// next turn begins with the worker that found no room in this one, with what it had not had of its
// share.
func (d *Dataplane) collect(q *queue) (work int) {
	q.dry, q.budget = false, dataplane.MaxBurst
	share := q.left
	q.left = 0
	active, taken, more := d.round(q, share)
	work = taken
	for more && q.hasRoom() {
		_, taken, more = d.round(q, q.share)
		work += taken
	}
	q.share = shareOf(active)
	if q.left == 0 {
		q.left = q.share
	}
	return work
}

// round goes once around the workers, beginning with the one whose turn it is, who has first frames
// left of its share. It returns how many had something to send, how many frames it took, and
// whether one that could send has more.
func (d *Dataplane) round(q *queue, first uint32) (active, work int, more bool) {
	at, share := q.turn, first
	for range q.ports {
		p := q.ports[at]
		if n := d.waiting(p); n > 0 {
			active++
			taken := uint32(0)
			if q.hasRoom() {
				taken = d.transmit(p, q, n, share)
				work += int(taken)
				more = more || taken > 0 && taken < n
			}
			if q.left == 0 && !q.hasRoom() && taken < min(n, share) {
				q.turn, q.left = at, share-taken
			}
		}
		share = q.share
		if at++; at == len(q.ports) {
			at = 0
		}
	}
	return active, work, more
}

// shareOf is the frames that each of so many workers may send in a round.
func shareOf(active int) uint32 {
	if active <= 1 {
		return dataplane.MaxBurst
	}
	return uint32(max((dataplane.MaxBurst+active-1)/active, minShare))
}

// waiting is how many descriptors of a worker wait, at most a burst.
func (d *Dataplane) waiting(p *port) uint32 {
	if p.cut || !p.far.Tx.Any() {
		return 0
	}
	n := min(p.far.Tx.Waiting(), dataplane.MaxBurst)
	if n == 0 && p.far.Tx.Broken() {
		d.evict(p.runtime, ViolationIndex)
	}
	return n
}
