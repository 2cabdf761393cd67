package parse

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// scalar is a JSON string, number or boolean, kept as it was written: Daraja
// changes its mind about which of them a value is, and a float64 would turn
// the date 20260131093005 into 2.0260131093005e+13. Anything else is empty.
type scalar struct {
	text   string // of a string its content, else the literal
	quoted bool   // it was a JSON string
}

// UnmarshalJSON never fails: what is no scalar leaves s empty.
func (s *scalar) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		s.quoted = true
		return json.Unmarshal(b, &s.text)
	case 'n', '{', '[':
		*s = scalar{}
	default:
		*s = scalar{text: string(b)}
	}
	return nil
}

// blank reports whether s says nothing.
func (s scalar) blank() bool { return strings.TrimSpace(s.text) == "" }

// whole reads s as a whole number. Text counts if it is written as a JSON
// number is. cut says that there was a fraction, which is dropped.
func (s scalar) whole() (n int64, cut, ok bool) {
	literal := strings.TrimSpace(s.text)
	if isDecimal(literal) { // as nearly all are, and without the work that others take
		n, err := strconv.ParseInt(literal, 10, 64)
		return n, false, err == nil
	}
	var number json.Number
	if json.Unmarshal([]byte(literal), &number) != nil || number.String() != literal {
		return 0, false, false
	}
	// An exact number, since 1e-400 is not zero and a float64 says it is. The
	// exponent is bounded, or a few bytes would ask for gigabytes of digits.
	if i := strings.IndexAny(literal, "eE"); i >= 0 && len(literal)-i > len("e-99") {
		return 0, false, false
	}
	exact, ok := new(big.Rat).SetString(literal)
	if !ok {
		return 0, false, false
	}
	floor := new(big.Int).Quo(exact.Num(), exact.Denom())
	return floor.Int64(), !exact.IsInt(), floor.IsInt64()
}

// digits returns a whole number without point or exponent, and anything else
// as it stands.
func (s scalar) digits() string {
	text := strings.TrimSpace(s.text)
	if isDecimal(text) {
		return text
	}
	if n, cut, ok := s.whole(); ok && !cut {
		return strconv.FormatInt(n, 10)
	}
	return text
}

// resultCode reads a result code: a JSON number that is whole and fits 32 bits,
// or text of decimal digits without a leading zero. Everything else is a word,
// and its number is NoCode.
func resultCode(s scalar) (n int, word string) {
	word = strings.TrimSpace(s.text)
	if s.quoted && !isDecimal(word) {
		return NoCode, word
	}
	whole, cut, ok := s.whole()
	if !ok || cut || whole < math.MinInt32 || whole > math.MaxInt32 {
		return NoCode, word
	}
	return int(whole), ""
}

// isDecimal reports whether s is digits alone, without a leading zero.
func isDecimal(s string) bool {
	return s == "0" || s != "" && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// amount is a sum of whole shillings; cut says that cents were dropped.
type amount struct {
	shillings int64
	cut       bool
}

// readAmount accepts whole shillings from 1; M-Pesa moves no smaller sum.
func readAmount(s scalar) (amount, bool) {
	n, cut, ok := s.whole()
	return amount{n, cut}, ok && n >= 1
}

// readReceipt accepts what an M-Pesa receipt may look like: capitals and
// digits, 20 at most (all that were ever seen have 10).
func readReceipt(s scalar) (string, bool) {
	for _, c := range []byte(s.text) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "", false
		}
	}
	return s.text, s.text != "" && len(s.text) <= 20
}

// parameter is one entry of a callback's list. STK calls its name Name, B2C Key.
type parameter struct {
	Name, Key string
	Value     scalar
}

// parameters is a list of them, or one of them without the list.
type parameters []parameter

// UnmarshalJSON never fails: what is no parameter is left out or empty.
func (ps *parameters) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '[':
		*ps = make(parameters, 0, 8) // the longest list that was seen
		_ = json.Unmarshal(b, (*[]parameter)(ps))
	case '{':
		*ps = make(parameters, 1)
		_ = json.Unmarshal(b, &(*ps)[0])
	}
	return nil
}

// has reports whether a parameter of that name has a value.
func (ps parameters) has(name string) bool {
	_, found := find(ps, name, func(s scalar) (scalar, bool) { return s, !s.blank() })
	return found
}

// find returns the first parameter of that name that read accepts.
func find[T any](ps parameters, name string, read func(scalar) (T, bool)) (T, bool) {
	for _, p := range ps {
		if p.Name != name && p.Key != name {
			continue
		}
		if v, ok := read(p.Value); ok {
			return v, true
		}
	}
	var none T
	return none, false
}
