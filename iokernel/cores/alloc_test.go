package cores

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// meadow is ports and hands that cost nothing, so that what is measured is the Scheduler.
type meadow struct {
	waiting int
	calls   int
}

func (m *meadow) Backlog(core.Time) Backlog {
	return Backlog{Waiting: m.waiting, Delay: core.Time(m.waiting) * us}
}
func (m *meadow) Any() bool                 { return m.waiting > 0 }
func (m *meadow) Wake(int, baton.Owner) int { m.calls++; return 0 }
func (m *meadow) Signal(int, baton.Owner)   { m.calls++ }
func (m *meadow) Demote(int, baton.Owner)   { m.calls++ }
func (m *meadow) Promote(int, baton.Owner)  { m.calls++ }

// TestPassesDoNotAllocate: passes that only look, grants that are taken up, those that are not
// (wakes, demotions, signals, reports), parks, nonsense, and readings of sensors.
func TestPassesDoNotAllocate(t *testing.T) {
	policies := moving()
	policies["static"] = func() Policy { return policy.NewStatic() }
	for name, p := range policies {
		t.Run(name, func(t *testing.T) {
			const cores = 2
			page, err := baton.NewPage(make([]byte, 4096), cores)
			if err != nil {
				t.Fatal(err)
			}
			m := &meadow{}
			s, err := New(Config{
				Page: page, Policy: p(), Interval: 5 * us, Hands: m, Notify: func() { m.calls++ },
				Deadlines:   baton.Deadlines{Yield: yieldTest, Stuck: stuckTest},
				MemoryLimit: 1000,
			})
			if err != nil {
				t.Fatal(err)
			}
			now := core.Second
			var loads []*baton.Load
			var owners []baton.Owner
			for _, class := range []policy.Class{policy.LatencyCritical, policy.BestEffort} {
				load, err := baton.NewLoad(make([]byte, 4096), cores)
				if err != nil {
					t.Fatal(err)
				}
				c := RuntimeConfig{Name: "r", Class: class, Quantum: 100 * us, Ports: m, Load: load}
				r, err := s.Attach(c)
				if err != nil {
					t.Fatal(err)
				}
				s.Run(now, r)
				loads, owners = append(loads, load), append(owners, r.Owner())
			}
			misses := []policy.Reading{{Valid: true, Value: 5}, {Valid: true, Value: 7}}
			obeys := true
			round := func() {
				for i := range 400 {
					now += 5 * us
					switch {
					case i%50 == 0:
						m.waiting = 3
					case i%50 == 10:
						m.waiting = 0
					case i%97 == 0:
						s.SetMemoryTraffic(now, policy.Reading{Valid: true, Value: uint64(i * 5)})
						s.SetMisses(now, misses)
					}
					s.Poll(now)
					for k := range owners {
						for c := range cores {
							line, w := loads[k].Line(c), page.Load(c)
							switch {
							case !obeys:
								line.Become(baton.Running)
								line.Queue(-1, -1, core.Never)
							case w.Owner() == owners[k]:
								line.Become(baton.Running)
								line.TakeUp(w)
								line.Heard()
							default:
								line.Become(baton.Waiting)
								line.Queue(0, 0, now+core.Time(i%64)*core.Microsecond)
								if i%128 == 0 {
									line.Ask()
								}
							}
						}
					}
					s.Next(now)
					s.NextStuck()
				}
			}
			round() // what is made once is made
			for _, obeys = range []bool{true, false} {
				for range 10 { // one by one: the mean of several is rounded down
					if n := testing.AllocsPerRun(1, round); n != 0 {
						t.Errorf("workers that obey: %v: %v allocations in 400 passes", obeys, n)
					}
				}
			}
			if k := s.Counters(); m.calls == 0 || k.Grants == 0 || name != "static" &&
				(k.Demotions == 0 || k.Stuck == 0) {
				t.Errorf("%d calls, %+v", m.calls, k)
			}
		})
	}
}
