package runq

import (
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

func newQueue(t testing.TB, n int) *Queue[int] {
	t.Helper()
	q, err := New[int](n)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// beginAt makes the indices of an empty queue stand at v, as if so many tasks had gone through.
func beginAt(q *Queue[int], v uint64) {
	q.head.Store(v)
	q.tail.Store(v)
	q.taken = v
}

func TestNewRefuses(t *testing.T) {
	for _, n := range []int{-1, 0, 3, 255, 2 * MaxEntries, math.MaxInt} {
		if _, err := New[int](n); err == nil || !strings.Contains(err.Error(), "power of two") {
			t.Errorf("a queue of %d: %v", n, err)
		}
	}
}

// TestInOrder fills and empties a queue by every pair of amounts, from before 2^32 and 2^64 on: tasks
// come out in the order in which they went in, whoever takes them, and a full queue refuses.
func TestInOrder(t *testing.T) {
	const size = 8
	for _, start := range []uint64{0, math.MaxUint32 - 5, math.MaxUint64 - 5} {
		q := newQueue(t, size)
		beginAt(q, start)
		tasks := make([]int, 4096)
		put, got := 0, 0
		for in := 1; in <= size+1; in++ {
			for out := 1; out <= size+1; out++ {
				for range in {
					tasks[put] = put
					if ok := q.Push(core.Time(put+1), &tasks[put]); ok != (put-got < size) {
						t.Fatalf("push with %d queued: %v", put-got, ok)
					} else if ok {
						put++
					}
				}
				for range out {
					oldest, n := q.Oldest()
					if n != put-got || n != q.Len() || n > 0 && oldest != core.Time(got+1) {
						t.Fatalf("%d queued since %d, want %d since %d", n, oldest, put-got, got+1)
					}
					take := q.Pop
					if got%2 == 1 {
						take = q.Steal
					}
					task, since := take()
					if (task != nil) != (put > got) {
						t.Fatalf("taken %v with %d queued", task, put-got)
					}
					if task == nil {
						continue
					}
					if *task != got || since != core.Time(got+1) {
						t.Fatalf("task %d since %d, want %d", *task, since, got)
					}
					got++
				}
			}
		}
		if got < 200 {
			t.Errorf("only %d tasks went through", got)
		}
	}
}

// TestNobodySharesALine: what thieves write and what the owner writes lie apart.
func TestNobodySharesALine(t *testing.T) {
	q := reflect.TypeFor[Queue[int]]()
	line := func(name string) uintptr {
		f, _ := q.FieldByName(name)
		return f.Offset / lineBytes
	}
	if line("mask") == line("head") || line("head") == line("tail") ||
		line("tail") != line("taken") || q.Size()%lineBytes != 0 {
		t.Errorf("mask, head, tail and taken on lines %d, %d, %d, %d of %d bytes",
			line("mask"), line("head"), line("tail"), line("taken"), q.Size())
	}
}

func TestQueueDoesNotAllocate(t *testing.T) {
	q := newQueue(t, 4)
	task := 7
	if n := testing.AllocsPerRun(1000, func() {
		q.Push(1, &task)
		q.Push(2, &task)
		q.Oldest()
		q.Pop()
		q.Steal()
		q.Len()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHammer has an owner push and pop while thieves steal: each task is taken once, each thread sees
// tasks in the order in which they were pushed, and the time that comes with one is its own.
func TestHammer(t *testing.T) {
	const (
		total   = 30_000
		thieves = 3
		size    = 8
	)
	q := newQueue(t, size)
	beginAt(q, math.MaxUint32-total/2)
	tasks := make([]int, total)
	taken := make([]atomic.Uint32, total)
	var done atomic.Bool
	check := func(task *int, since core.Time, last *int) bool {
		if *task <= *last || int(since) != *task+1 || taken[*task].Add(1) != 1 {
			t.Errorf("task %d since %d after %d, taken %d times", *task, since, *last,
				taken[*task].Load())
			return false
		}
		*last = *task
		return true
	}
	var all sync.WaitGroup
	for range thieves {
		all.Go(func() {
			last := -1
			for !done.Load() || q.Len() > 0 {
				if task, since := q.Steal(); task == nil {
					q.Oldest()
					runtime.Gosched()
				} else if !check(task, since, &last) {
					return
				}
			}
		})
	}
	last := -1
	for put := 0; put < total; {
		tasks[put] = put
		if q.Push(core.Time(put+1), &tasks[put]) {
			put++
		} else if task, since := q.Pop(); task != nil && !check(task, since, &last) {
			break
		}
		if put%64 == 0 {
			runtime.Gosched()
		}
	}
	done.Store(true)
	all.Wait()
	for i := range taken {
		if n := taken[i].Load(); n != 1 && !t.Failed() {
			t.Fatalf("task %d was taken %d times", i, n)
		}
	}
}

// BenchmarkQueue is a push and a pop by the owner, BenchmarkSteal a push and a steal on one thread.
func BenchmarkQueue(b *testing.B) {
	q, task := newQueue(b, 256), 1
	for b.Loop() {
		q.Push(1, &task)
		q.Pop()
	}
}

func BenchmarkSteal(b *testing.B) {
	q, task := newQueue(b, 256), 1
	for b.Loop() {
		q.Push(1, &task)
		q.Steal()
	}
}
