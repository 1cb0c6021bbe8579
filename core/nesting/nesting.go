// Package nesting keeps parsers that recurse, such as that of YAML, from hostile text.
package nesting

import "fmt"

// Check complains about text whose brackets [ and { are nested more than most deep. Brackets within
// quotes count as well: it is a bound, not a parser.
func Check(text []byte, most int) error {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		}
		if depth > most {
			return fmt.Errorf("brackets nested more than %d deep", most)
		}
	}
	return nil
}
