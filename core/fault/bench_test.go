package fault

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

func BenchmarkJudge(b *testing.B) {
	for name, c := range map[string]Config{
		"nothing": {}, "loss": {Loss: 0.01}, "everything": everything(),
	} {
		b.Run(name, func(b *testing.B) {
			m := newModel(b, c, 1)
			now := core.Time(0)
			for b.Loop() {
				now += gap
				m.Judge(now, 1400)
			}
		})
	}
}
