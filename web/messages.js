// What to tell the person, for each result code. Written by go test ./web -update,
// from the table in parse/codes.go. A row without a code is for all others of its status.

export const messages = [
  {"status":"SUCCESS","code":"0","en":"Payment completed. Thank you.","sw":"Malipo yamekamilika. Asante.","askAgain":false,"cause":""},
  {"status":"FAILED","code":"1","en":"Payment not completed: your M-PESA balance is too low.","sw":"Malipo hayakukamilika: salio halitoshi.","askAgain":true,"cause":"not_enough_funds"},
  {"status":"FAILED","code":"2","en":"Payment not completed: the amount is below M-PESA's minimum.","sw":"Malipo hayakukamilika: kiasi ni chini ya kiwango cha chini cha M-PESA.","askAgain":true,"cause":""},
  {"status":"FAILED","code":"3","en":"Payment not completed: the amount is above M-PESA's maximum.","sw":"Malipo hayakukamilika: kiasi kinazidi kiwango cha juu cha M-PESA.","askAgain":true,"cause":""},
  {"status":"FAILED","code":"4","en":"Payment not completed: the amount is above your M-PESA limit for one day.","sw":"Malipo hayakukamilika: kiasi kinazidi kikomo chako cha siku cha M-PESA.","askAgain":true,"cause":""},
  {"status":"FAILED","code":"8","en":"Payment not completed: the balance of an M-PESA account would exceed its limit.","sw":"Malipo hayakukamilika: salio lingezidi kikomo cha akaunti ya M-PESA.","askAgain":true,"cause":""},
  {"status":"FAILED","code":"11","en":"Payment not completed: your M-PESA account is not active. Please contact Safaricom.","sw":"Malipo hayakukamilika: akaunti yako ya M-PESA haifanyi kazi kwa sasa. Tafadhali wasiliana na Safaricom.","askAgain":true,"cause":""},
  {"status":"FAILED","code":"17","en":"This request was not completed: the same amount was asked for a moment ago. Please check your M-PESA messages before you pay again.","sw":"Ombi hili halikukamilika: malipo ya kiasi hicho yaliombwa muda mfupi uliopita. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.","askAgain":false,"cause":""},
  {"status":"FAILED","code":"26","en":"Payment not completed: M-PESA is busy. Please try again in a few minutes.","sw":"Malipo hayakukamilika: M-PESA ina shughuli nyingi. Tafadhali jaribu tena baada ya dakika chache.","askAgain":true,"cause":""},
  {"status":"FAILED","code":"1001","en":"Payment not completed: another M-PESA transaction is open on your phone. Please try again in a minute.","sw":"Malipo hayakukamilika: muamala mwingine wa M-PESA unaendelea kwenye simu yako. Tafadhali jaribu tena baada ya dakika moja.","askAgain":true,"cause":"subscriber_locked"},
  {"status":"FAILED","code":"1019","en":"Payment not completed: the time to pay ran out. Please try again.","sw":"Malipo hayakukamilika: muda wa kulipa umeisha. Tafadhali jaribu tena.","askAgain":true,"cause":""},
  {"status":"FAILED","code":"1025","en":"Payment not completed: the request could not be sent to your phone. Please try again.","sw":"Malipo hayakukamilika: ombi halikufika kwenye simu yako. Tafadhali jaribu tena.","askAgain":true,"cause":""},
  {"status":"CANCELLED","code":"1031","en":"Payment not completed: the request was cancelled or not answered.","sw":"Malipo hayakukamilika: ombi lilighairiwa au halikujibiwa.","askAgain":true,"cause":""},
  {"status":"CANCELLED","code":"1032","en":"Payment not completed: the request was cancelled or not answered.","sw":"Malipo hayakukamilika: ombi lilighairiwa au halikujibiwa.","askAgain":true,"cause":""},
  {"status":"TIMEOUT","code":"1036","en":"We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.","sw":"Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.","askAgain":false,"cause":""},
  {"status":"TIMEOUT","code":"1037","en":"Your phone was not reached or did not answer. We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.","sw":"Simu yako haikupatikana au hukujibu. Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.","askAgain":false,"cause":""},
  {"status":"FAILED","code":"2001","en":"Payment not completed: the PIN was wrong, or this number has no M-PESA.","sw":"Malipo hayakukamilika: PIN si sahihi, au nambari hii haijasajiliwa kwa M-PESA.","askAgain":true,"cause":"wrong_pin"},
  {"status":"TIMEOUT","code":"2026","en":"We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.","sw":"Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.","askAgain":false,"cause":""},
  {"status":"FAILED","code":"2028","en":"Payment not completed: the receiver's M-PESA account cannot take it. Please contact the receiver.","sw":"Malipo hayakukamilika: akaunti ya M-PESA ya mpokeaji haiwezi kuyapokea. Tafadhali wasiliana na mpokeaji.","askAgain":true,"cause":""},
  {"status":"TIMEOUT","code":"4999","en":"The payment is still being processed. Please wait for the SMS from M-PESA.","sw":"Malipo bado yanashughulikiwa. Tafadhali subiri SMS ya M-PESA.","askAgain":false,"cause":""},
  {"status":"FAILED","code":"8006","en":"Payment not completed: your M-PESA PIN is locked. Please contact Safaricom.","sw":"Malipo hayakukamilika: PIN yako ya M-PESA imefungwa. Tafadhali wasiliana na Safaricom.","askAgain":true,"cause":""},
  {"status":"TIMEOUT","code":"9999","en":"We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.","sw":"Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.","askAgain":false,"cause":""},
  {"status":"FAILED","code":"SFC_IC0003","en":"Payment not completed: the receiver's M-PESA account cannot take it. Please contact the receiver.","sw":"Malipo hayakukamilika: akaunti ya M-PESA ya mpokeaji haiwezi kuyapokea. Tafadhali wasiliana na mpokeaji.","askAgain":true,"cause":""},
  {"status":"TIMEOUT","code":"BW-JMS-100039","en":"We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.","sw":"Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.","askAgain":false,"cause":""},
  {"status":"SUCCESS","code":"","en":"Payment completed. Thank you.","sw":"Malipo yamekamilika. Asante.","askAgain":false,"cause":""},
  {"status":"FAILED","code":"","en":"Payment not completed. No money has moved, and you may try again.","sw":"Malipo hayakukamilika. Hakuna pesa zilizokatwa; unaweza kujaribu tena.","askAgain":true,"cause":""},
  {"status":"CANCELLED","code":"","en":"Payment not completed: the request was cancelled or not answered.","sw":"Malipo hayakukamilika: ombi lilighairiwa au halikujibiwa.","askAgain":true,"cause":""},
  {"status":"TIMEOUT","code":"","en":"We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.","sw":"Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.","askAgain":false,"cause":""},
  {"status":"PENDING","code":"","en":"Please look at your phone and enter your M-PESA PIN.","sw":"Tafadhali angalia simu yako na uweke PIN yako ya M-PESA.","askAgain":false,"cause":""},
];

// What to say of a SUCCESS whose receipt is still to come.
export const receiptFollows = {"en":"Payment completed. The receipt follows.","sw":"Malipo yamekamilika. Risiti itafuata."};
