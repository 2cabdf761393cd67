package daraja

import (
	"errors"
	"strings"
)

// ParseMSISDN returns a Kenyan mobile number as Safaricom takes it, 254712345678,
// from that, +254712345678, 0712345678 or 712345678; numbers that begin with 1
// likewise, and spaces anywhere. The error does not quote the number.
func ParseMSISDN(s string) (string, error) {
	number := strings.ReplaceAll(s, " ", "")
	for _, prefix := range [...]string{"+254", "254", "0"} {
		if rest, found := strings.CutPrefix(number, prefix); found {
			number = rest
			break
		}
	}
	if len(number) != 9 || number[0] != '7' && number[0] != '1' || strings.Trim(number, "0123456789") != "" {
		return "", errors.New("not a Kenyan mobile number")
	}
	return "254" + number, nil
}
