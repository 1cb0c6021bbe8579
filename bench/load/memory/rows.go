package memory

import (
	"fmt"

	"github.com/dunlin-io/dunlin/bench/report"
)

// row is one contestant under one pattern.
type row struct {
	name    string
	unit    report.Unit
	perUnit int64 // what samples count, in a unit
	bytes   int   // of an object, a slot or a page; 0 where sizes are mixed
	open    func(*bench) (runner, error)
}

func (w row) key() report.Key {
	return report.Key{
		Name: w.name, Loop: report.Batch, Unit: w.unit, PerUnit: w.perUnit, Bytes: w.bytes,
	}
}

// label is what Options.Rows is matched against, as in the other suites.
func (w row) label() string { return fmt.Sprintf("%s %s %d", w.name, report.Batch, w.bytes) }

// timed is a row of times that are short against a microsecond.
func timed(name string, bytes int, open func(*bench) (runner, error)) row {
	return row{name, report.Nanoseconds, picos, bytes, open}
}

// rows are all of them, in the order of the report.
func rows() []row {
	var all []row
	for _, some := range [][]row{
		smallRows(), hoardRows(), blowupRows(), slotRows(), containerRows(), dirtyRows(),
		codecRows(), gcRows(),
	} {
		all = append(all, some...)
	}
	return all
}

// allocators are those of C, each of which is in every pattern that driver.c has.
func allocators() []allocator { return []allocator{mimalloc(), jemalloc(), glibc()} }

// smallRows allocate and free on threads that have nothing to do with each other.
func smallRows() (all []row) {
	for workers := 1; workers <= maxWorkers; workers++ {
		end := ""
		if workers > 1 {
			end = fmt.Sprintf("/%d", workers)
		}
		all = append(all, timed("arena/pair/64"+end, objectBytes, openArenaPair(workers)))
		for _, a := range allocators() {
			all = append(all, timed(a.name+"/pair/64"+end, objectBytes,
				openPeer(a, "pair", workers, batchOps)))
		}
		all = append(all, timed("go-new/64"+end, objectBytes, openGoNew(workers)),
			timed("arena/mix"+end, 0, openArenaMix(workers)))
		for _, a := range allocators() {
			all = append(all, timed(a.name+"/mix"+end, 0, openPeer(a, "mix", workers, batchOps)))
		}
		all = append(all, timed("go-new/mix"+end, 0, openGoMix(workers)))
	}
	return all
}

// hoardRows are the patterns of two threads that allocators stumble over.
func hoardRows() []row {
	all := []row{
		timed("arena/threadtest/2", objectBytes, openArenaThreadtest),
		timed("buffer/threadtest/2", objectBytes, openThreadtest),
		timed("buffer/larson/2", 0, openLarson),
		timed("go-new/larson/2", 0, openGoLarson),
		timed("buffer/active-false/2", falseBytes, openFalse(false)),
		timed("buffer/passive-false/2", falseBytes, openFalse(true)),
	}
	for _, pattern := range []struct {
		name         string
		batch, bytes int
	}{
		{"threadtest", 8 * threadtestLive, objectBytes},
		{"larson", larsonVisit, 0},
		{"active-false", falseBatch, falseBytes},
		{"passive-false", falseBatch, falseBytes},
	} {
		for _, a := range allocators() {
			all = append(all, timed(a.name+"/"+pattern.name+"/2", pattern.bytes,
				openPeer(a, pattern.name, maxWorkers, pattern.batch)))
		}
	}
	return all
}

// blowupRows are pages over live bytes, at most, when one thread allocates and another frees.
func blowupRows() []row {
	parts := func(name string, open func(*bench) (runner, error)) row {
		return row{name + "/blowup", report.Parts, millionths, int(slotBytes), open}
	}
	all := []row{parts("store", openBlowup)}
	for _, a := range allocators() {
		all = append(all, parts(a.name, openPeer(a, "producer-consumer", maxWorkers, blowupBatch)))
	}
	return all
}

// slotRows make and destroy the arenas of small proclets.
func slotRows() []row {
	const bytes = int(slotBytes)
	return []row{
		timed("store/create-destroy/64KiB", bytes, openCreate(1, false)),
		timed("store/create-destroy/64KiB/2", bytes, openCreate(2, false)),
		timed("store/create-fill-destroy/64KiB", bytes, openCreate(1, true)),
		timed("clear/64KiB", bytes, openClear),
		timed("fill/64KiB", bytes, openFill),
		timed("mmap/create-destroy/64KiB", bytes, openMmap),
	}
}

// containerRows are those of arenas beside Go's own.
func containerRows() (all []row) {
	for _, v := range []verb{get, put, iterate} {
		for _, m := range []struct {
			name string
			of   func(*fixtures) loops
		}{{"arena-map", arenaMap}, {"go-map", goMap}, {"arena-ordered", orderedMap}} {
			all = append(all, timed(fmt.Sprintf("%s/%s/1M", m.name, v), 0, openMap(v, m.of)))
		}
	}
	return append(all,
		timed("arena-vec/append/1024", 8, openVec), timed("go-slice/append/1024", 8, openSlice),
		timed("arena-vec/sum/1024", 8, openVecSum), timed("go-slice/sum/1024", 8, openSliceSum))
}

// dirtyRows are change tracking: first/next/untracked write, scans, arming; software beside it.
func dirtyRows() []row {
	const page, whole = float64(trackedPages), 1
	kernel := func(name string, each float64, prepare, measured step) row {
		return timed("dirty/"+name, trackedBytes, openTracked(each, prepare, measured))
	}
	return []row{
		kernel("first-write", page, (*tracked).scan, (*tracked).write),
		kernel("next-write", page, (*tracked).write, (*tracked).write),
		kernel("untracked-write", page, (*tracked).disarm, (*tracked).write),
		kernel("fault", page, (*tracked).dropUntracked, (*tracked).write),
		kernel("scan/10MiB-clean", whole, (*tracked).scan, (*tracked).scan),
		kernel("scan/10MiB-written", whole, (*tracked).write, (*tracked).scan),
		kernel("arm", page, (*tracked).disarm, (*tracked).arm),
		timed("software/write", trackedBytes, openSoftware(page, (*tracked).scan, (*tracked).tell)),
		timed("software/scan/10MiB-clean", trackedBytes,
			openSoftware(whole, (*tracked).scan, (*tracked).scan)),
	}
}

// codecRows encode pages of each kind of change, and decode some.
func codecRows() (all []row) {
	for _, c := range changes() {
		all = append(all, row{
			"codec/" + c.name + "/encode", report.Bytes, 1, pageBytes, openCodec(c, false),
		})
	}
	for _, c := range changes() {
		if c.decoded {
			all = append(all, row{
				"codec/" + c.name + "/decode", report.Bytes, 1, pageBytes, openCodec(c, true),
			})
		}
	}
	return all
}

// gcRows are whole collections of Go's heap.
func gcRows() []row {
	return []row{
		{"gc/no-arenas", report.Nanoseconds, 1, 0, openGC(false)},
		{"gc/1GiB-of-arenas", report.Nanoseconds, 1, 0, openGC(true)},
	}
}
