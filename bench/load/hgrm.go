package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Shape of the exported histograms.
const (
	hgrmMax    = int64(1<<32 - 1) // ns, the longest sample
	hgrmDigits = 3                // significant, as HdrHistogram's own tools
	hgrmTicks  = 5                // lines per halving of the distance to 100 %
	hgrmUnit   = 1000.0           // values are printed in microseconds
)

// WriteHGRM writes the distribution of each row of latencies into a file of its own, in the form
// that HdrHistogram's plotter reads. It makes the directory if there is none.
func WriteHGRM(dir string, s *Session) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	for key, distribution := range s.Distributions() {
		h := hdrhistogram.New(1, hgrmMax, hgrmDigits)
		for value, count := range distribution.All() {
			if err := h.RecordValues(max(value, 1), int64(count)); err != nil {
				return fmt.Errorf("load: %s: %w", key.Name, err)
			}
		}
		name := fmt.Sprintf("%s-%s-%d.hgrm", strings.ReplaceAll(key.Name, "/", "-"), key.Loop,
			key.Bytes)
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		_, err = h.PercentilesPrint(file, hgrmTicks, hgrmUnit)
		if cerr := file.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("load: write %s: %w", file.Name(), err)
		}
	}
	return nil
}
