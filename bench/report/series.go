package report

// Key is what makes a row the one it is.
type Key struct {
	Name  string
	Loop  Loop
	Rate  uint64
	Bytes int
	Unit  Unit
	// PerUnit is how many of what samples count make one Unit: samples are whole numbers, and so
	// picoseconds where a nanosecond is too coarse. 0 means 1.
	PerUnit int64
}

// figure is a sample in units.
func (k *Key) figure(sample int64) float64 {
	return float64(sample) / float64(max(k.PerUnit, 1))
}

// Series is a row while it is measured: its rounds, in their order.
type Series struct {
	Key    Key
	rounds []Distribution
	faults []Faults
	rates  bool // rounds hold one figure each: a rate
	spent  []Spent
	spentN map[string]int // process to its place in spent
}

// NewSeries returns a row without rounds.
func NewSeries(k Key) *Series { return &Series{Key: k, spentN: map[string]int{}} }

// AddLatencies is a round of a row whose samples are nanoseconds. It sorts the samples in place.
func (s *Series) AddLatencies(samples []uint32, f Faults) {
	s.rounds = append(s.rounds, NewDistribution(samples))
	s.faults = append(s.faults, f)
}

// AddRate is a round of a row that measures a rate.
func (s *Series) AddRate(perSecond int64, f Faults) {
	s.rates = true
	s.rounds = append(s.rounds, NewDistribution([]int64{perSecond}))
	s.faults = append(s.faults, f)
}

// AddSpent counts CPU time of a process during a round.
func (s *Series) AddSpent(t Spent) {
	i, ok := s.spentN[t.Process]
	if !ok {
		s.spentN[t.Process] = len(s.spent)
		s.spent = append(s.spent, t)
		return
	}
	s.spent[i].Ns += t.Ns
}

// Rounds is how many rounds were added.
func (s *Series) Rounds() int { return len(s.rounds) }

// Distribution is the samples of all rounds.
func (s *Series) Distribution() Distribution { return Merge(s.rounds...) }

// Row is the finished row.
func (s *Series) Row() Row {
	all := s.Distribution()
	r := Row{
		Name: s.Key.Name, Loop: s.Key.Loop, Rate: s.Key.Rate, Bytes: s.Key.Bytes, Unit: s.Key.Unit,
		P50: s.Key.figure(all.Quantile(0.5)), Max: s.Key.figure(all.Max()), Count: all.Count(),
		CPU: s.spent,
	}
	for i, d := range s.rounds {
		r.Faults.Add(s.faults[i])
		r.Rounds = append(r.Rounds, Round{
			P50: s.Key.figure(d.Quantile(0.5)), P99: s.Key.figure(d.Quantile(0.99)),
			Count: d.Count(), Lost: s.faults[i].Lost,
		})
	}
	if s.rates { // one figure a round: the rounds are the samples
		r.P90, r.P99 = s.Key.figure(all.Quantile(0.9)), s.Key.figure(all.Quantile(0.99))
		r.P999 = s.Key.figure(all.Quantile(0.999))
		return r
	}
	r.P90, r.P99 = s.Key.figure(s.medianOf(0.9)), s.Key.figure(s.medianOf(0.99))
	r.P999 = s.Key.figure(s.medianOf(0.999))
	r.Curve = all.Curve()
	return r
}

// medianOf is the median of the rounds' own quantile; rounds without samples have none.
func (s *Series) medianOf(q float64) int64 {
	var values []int64
	for _, d := range s.rounds {
		if d.Count() > 0 {
			values = append(values, d.Quantile(q))
		}
	}
	return median(values)
}
