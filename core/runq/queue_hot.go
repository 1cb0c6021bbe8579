package runq

import "github.com/dunlin-io/dunlin/core"

// Push puts a task that is runnable since then behind the others; false if there is no room.
func (q *Queue[T]) Push(since core.Time, task *T) bool {
	tail := q.tail.Load()
	if tail-q.taken > q.mask { // the thieves' line is looked at only when it matters
		if q.taken = q.head.Load(); tail-q.taken > q.mask {
			return false
		}
	}
	s := &q.slots[tail&q.mask]
	s.task.Store(task)
	s.since.Store(int64(since))
	q.tail.Store(tail + 1)
	return true
}

// Pop takes the oldest task, for the owner; nil if there is none. It tries again when a thief was
// faster, so at most once for each task there was.
func (q *Queue[T]) Pop() (task *T, since core.Time) {
	for {
		task, since, again := q.take()
		if !again {
			return task, since
		}
	}
}

// Steal takes the oldest task, for a sibling; nil if there is none, or if somebody else was faster:
// then there may be more, and Len tells.
func (q *Queue[T]) Steal() (task *T, since core.Time) {
	task, since, _ = q.take()
	return task, since
}

// take tries once. The head is read before the tail, which is never behind it: read the other way
// round, a tail of before could make an empty slot look like a task.
func (q *Queue[T]) take() (task *T, since core.Time, again bool) {
	head := q.head.Load()
	if head == q.tail.Load() {
		return nil, 0, false
	}
	s := &q.slots[head&q.mask]
	task, since = s.task.Load(), core.Time(s.since.Load())
	if !q.head.CompareAndSwap(head, head+1) { // what was read may be the next round's, or halves
		return nil, 0, true
	}
	return task, since, false
}

// Len is how many tasks are queued; more by those that were taken during the call, never less than
// there were at some time of it.
func (q *Queue[T]) Len() int {
	head := q.head.Load()
	return int(min(q.tail.Load()-head, q.mask+1))
}

// oldestTries bounds Oldest beside busy thieves. (guess)
const oldestTries = 4

// Oldest is since when the oldest queued task is runnable, and how many there are; 0, 0 for none.
// If others take tasks all the while, the time is that of one that was just taken.
func (q *Queue[T]) Oldest() (since core.Time, n int) {
	for range oldestTries {
		head := q.head.Load()
		tail := q.tail.Load()
		if head == tail {
			return 0, 0
		}
		since = core.Time(q.slots[head&q.mask].since.Load())
		n = int(min(tail-head, q.mask+1))
		if q.head.Load() == head {
			break
		}
	}
	return since, n
}
