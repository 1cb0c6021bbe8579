package fault

import (
	"slices"
	"testing"
)

func TestApply(t *testing.T) {
	tests := []struct {
		name string
		d    Delivery
		want []byte
	}{
		{"untouched", Delivery{Keep: KeepAll, Bit: NoBit}, []byte{0, 0, 0, 0}},
		{"cut and flipped", Delivery{Keep: 3, Bit: 17}, []byte{0, 0, 2}},
		{"highest bit", Delivery{Keep: KeepAll, Bit: 31}, []byte{0, 0, 0, 0x80}},
		{"cut to nothing", Delivery{Keep: 0, Bit: NoBit}, []byte{}},
		{"keeps more than there is", Delivery{Keep: 9, Bit: NoBit}, []byte{0, 0, 0, 0}},
	}
	for _, tt := range tests {
		if got := Apply(tt.d, make([]byte, 4)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
